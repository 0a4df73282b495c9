package PAGI::Middleware::RequestId;

use strict;
use warnings;
use parent 'PAGI::Middleware';

use PAGI::Middleware::Support::Headers qw(request_header adding_headers);
use PAGI::Utils::Random qw(secure_random_bytes);

my $counter = 0;

# Random bytes are drawn for many ids at a time; a forked worker draws its own.
my ($random, $owner) = ('', 0);

sub _init {
    my ($self, $config) = @_;
    $self->{header}         = $config->{header} // 'X-Request-ID';
    $self->{trust_incoming} = $config->{trust_incoming} ? 1 : 0;
    $self->{generator}      = $config->{generator} // \&_generate_id;
    return;
}

sub wrap {
    my ($self, $app) = @_;
    my ($header, $trusts) = @$self{qw(header trust_incoming)};
    return sub {
        my ($scope, $receive, $send) = @_;
        return $app->($scope, $receive, $send) if $scope->{type} ne 'http';

        my $id = ($trusts ? $self->_incoming($scope) : undef) // $self->{generator}->($scope);
        return $app->(
            { %$scope, request_id => $id },
            $receive,
            adding_headers($send, [ [ $header, $id ] ]),
        );
    };
}

# The id ends up in logs and in a response header, so an id from outside must be
# short and printable; anything else is replaced by our own.
sub _incoming {
    my ($self, $scope) = @_;
    my $id = request_header($scope, lc $self->{header});
    return defined $id && $id =~ /\A[\x20-\x7e]{1,200}\z/ ? $id : undef;
}

sub _generate_id {
    $counter = ($counter + 1) % 0xFFFF;
    return sprintf '%08x-%04x-%04x-%s',
        time & 0xFFFFFFFF, $$ & 0xFFFF, $counter, unpack 'H12', _six_bytes();
}

sub _six_bytes {
    if ($owner != $$ || length $random < 6) {
        $random = secure_random_bytes(6 * 64);
        $owner  = $$;
    }
    return substr $random, 0, 6, '';
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::RequestId - a unique id in scope and response

=head1 SYNOPSIS

    use PAGI::Middleware::Builder;

    my $app = builder {
        enable 'RequestId', trust_incoming => 1;
        sub {
            my ($scope, $receive, $send) = @_;
            warn "handling $scope->{request_id}\n";
            ...
        };
    };

=head1 DESCRIPTION

Acts on C<http> scopes. Puts an id into the scope as C<request_id> and appends it to the response.
Enable it outside C<ErrorHandler>, so that error pages carry it too.

The built-in id looks like C<65a1b2c3-1f40-0007-9c1e52aa03bd>: seconds, process, counter, random.
It is unique, not secret.

=head1 OPTIONS

=over 4

=item header

Response header, and incoming header to read. Default C<X-Request-ID>; the letter case is kept.

=item trust_incoming

True: take over the id the request brought, if it is 1 to 200 printable ASCII characters.
Default 0. Turn it on only behind a proxy that sets the header.

=item generator

Coderef, called with the scope; returns the id.

=back

=cut
