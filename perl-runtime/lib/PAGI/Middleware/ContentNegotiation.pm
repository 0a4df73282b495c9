package PAGI::Middleware::ContentNegotiation;

use strict;
use warnings;
use parent 'PAGI::Middleware';

use PAGI::Middleware::Support::Headers qw(request_header_all);
use PAGI::Middleware::Support::Reply qw(reply);

sub _init {
    my ($self, $config) = @_;
    $self->{supported} = $config->{supported_types};
    die "ContentNegotiation requires 'supported_types' option\n"
        unless ref $self->{supported} eq 'ARRAY' && @{ $self->{supported} };
    $self->{default} = $config->{default_type} // $self->{supported}[0];
    $self->{strict}  = $config->{strict} ? 1 : 0;
    return;
}

sub wrap {
    my ($self, $app) = @_;
    return sub {
        my ($scope, $receive, $send) = @_;
        return $app->($scope, $receive, $send) if $scope->{type} ne 'http';

        # Header lines of one name are one list (RFC 9110 5.3).
        my $accept = join ',', request_header_all($scope, 'accept');
        my $accepted = _parse(length $accept ? $accept : '*/*');
        my $type = $self->_choose($accepted);
        return $self->_refuse($scope, $send) if !defined $type && $self->{strict};

        my %inner = (
            %$scope,
            'pagi.preferred_content_type' => $type // $self->{default},
            'pagi.accepted_types'         => $accepted,
        );
        return $app->(\%inner, $receive, $send);
    };
}

sub _parse {
    my ($accept) = @_;
    my @items;
    for my $part (split /,/, $accept) {
        my ($type, @parameters) = map { s/\A\s+|\s+\z//gr } split /;/, $part;
        next unless defined $type && length $type;
        my $q = 1;
        for my $parameter (@parameters) {
            $q = $1 > 1 ? 1 : $1 + 0 if $parameter =~ /\Aq\s*=\s*(\d+(?:\.\d*)?|\.\d+)\z/ai;
        }
        push @items, { type => $type, q => $q };
    }
    return [ sort { $b->{q} <=> $a->{q} } @items ];    # perl's sort is stable
}

sub _choose {
    my ($self, $accepted) = @_;
    my @refused = grep { $_->{q} == 0 } @$accepted;
    for my $item (grep { $_->{q} > 0 } @$accepted) {
        for my $type (@{ $self->{supported} }) {
            next unless _matches($item->{type}, $type);
            # q=0 excludes (RFC 9110 12.4.2) unless the preference is the more exact one.
            next if grep {
                _matches($_->{type}, $type) && _exactness($_->{type}) >= _exactness($item->{type})
            } @refused;
            return $type;
        }
    }
    return;
}

sub _matches {
    my ($range, $type) = map { lc } @_;
    return 1 if $range eq $type || $range eq '*/*';
    my ($major) = $range =~ m{\A([^/]+)/\*\z} or return 0;
    return index($type, "$major/") == 0;
}

sub _exactness {
    my ($range) = @_;
    return $range eq '*/*' ? 0 : $range =~ m{/\*\z} ? 1 : 2;
}

sub _refuse {
    my ($self, $scope, $send) = @_;
    my $text = 'Not Acceptable. Supported types: ' . join ', ', @{ $self->{supported} };
    return reply($scope, $send, 406,
        [ [ 'Content-Type', 'text/plain' ], [ 'Content-Length', length $text ] ], $text);
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::ContentNegotiation - pick a media type from Accept

=head1 SYNOPSIS

    use PAGI::Middleware::Builder;

    my $app = builder {
        enable 'ContentNegotiation', supported_types => [ 'application/json', 'text/html' ];
        sub {
            my ($scope, $receive, $send) = @_;
            my $html = $scope->{'pagi.preferred_content_type'} eq 'text/html';
            ...
        };
    };

=head1 DESCRIPTION

Acts on C<http> scopes. The items of C<Accept> are tried from the highest C<q> down, equal ones in their
order; an exact type matches itself, C<*/*> the first supported type, C<text/*> the first of that kind.
C<q=0> excludes a type from wildcards. The result is in the scope as C<pagi.preferred_content_type>, the
parsed list of C<< { type => ..., q => ... } >> as C<pagi.accepted_types>.

=head1 OPTIONS

=over 4

=item supported_types

Required array reference, the best first.

=item default_type

Used when nothing matches; default is the first supported type.

=item strict

True: when nothing matches, 406 C<Not Acceptable. Supported types: A, B>. Default 0.

=back

=head1 ERRORS

C<ContentNegotiation requires 'supported_types' option>.

=cut
