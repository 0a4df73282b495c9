package PAGI::Middleware::FormBody;

use strict;
use warnings;
use parent 'PAGI::Middleware';

use Future::AsyncAwait;
use PAGI::Middleware::Support::Headers qw(request_header);
use PAGI::Middleware::Support::Reply qw(reply);
use PAGI::Middleware::Support::RequestBody qw(read_body after_body);
use PAGI::Middleware::Support::URLs qw(unescape_form);

sub _init {
    my ($self, $config) = @_;
    $self->{max_size} = $config->{max_size} // 1048576;
    return;
}

sub wrap {
    my ($self, $app) = @_;
    return sub {
        my ($scope, $receive, $send) = @_;
        return $app->($scope, $receive, $send)
            if $scope->{type} ne 'http'
            || (request_header($scope, 'content-type') // '') !~ m{\A\s*application/x-www-form-urlencoded}i;
        return $self->_parsed($app, $scope, $receive, $send);
    };
}

async sub _parsed {
    my ($self, $app, $scope, $receive, $send) = @_;
    my $got = await read_body($scope, $receive, $self->{max_size});
    return if $got->{disconnected};    # half a form for nobody
    if ($got->{too_large}) {
        my $text = 'Request body too large';
        return await reply($scope, $send, 413,
            [ [ 'Content-Type', 'text/plain' ], [ 'Content-Length', length $text ] ], $text);
    }
    return await $app->(
        { %$scope, 'pagi.parsed_body' => _fields($got->{body}), 'pagi.raw_body' => $got->{body} },
        after_body($receive), $send,
    );
}

sub _fields {
    my ($body) = @_;
    my %fields;
    for my $pair (split /&/, $body) {
        next if $pair eq '';
        my ($name, $value) = map { unescape_form($_ // '') } (split /=/, $pair, 2)[ 0, 1 ];
        if    (!exists $fields{$name})      { $fields{$name} = $value }
        elsif (ref $fields{$name})          { push @{ $fields{$name} }, $value }
        else                                { $fields{$name} = [ $fields{$name}, $value ] }
    }
    return \%fields;
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::FormBody - parse urlencoded request bodies

=head1 SYNOPSIS

    use PAGI::Middleware::Builder;

    my $app = builder {
        enable 'FormBody';
        sub {
            my ($scope, $receive, $send) = @_;
            my $name = $scope->{'pagi.parsed_body'}{name};
            ...
        };
    };

=head1 DESCRIPTION

Acts on C<http> scopes with the content type C<application/x-www-form-urlencoded>. The application finds a
hash reference as C<pagi.parsed_body> and the bytes as C<pagi.raw_body>. Names and values are bytes,
percent-decoded but not UTF-8-decoded; a repeated name has an array reference of its values. Its C<$receive>
gives one empty final C<http.request> and then what the server says. C<multipart/form-data> is not handled:
see L<PAGI::Request::Body/form_params>.

A body above the limit gets 413 C<Request body too large>. Then, and when the client goes away before the
body is complete, the application is not called.

=head1 OPTIONS

=over 4

=item max_size

Bytes, default 1048576.

=back

=cut
