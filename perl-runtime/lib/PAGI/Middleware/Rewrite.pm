package PAGI::Middleware::Rewrite;

use strict;
use warnings;
use parent 'PAGI::Middleware';

use Carp qw(croak);
use PAGI::Middleware::Support::Reply qw(reply);
use PAGI::Middleware::Support::URLs qw(escape_path);

sub _init {
    my ($self, $config) = @_;
    $self->{rules} = $config->{rules} or die "Rewrite middleware requires 'rules' option\n";
    croak "Rewrite 'rules' must be an arrayref of { from => ..., to => ... }"
        if ref $self->{rules} ne 'ARRAY'
        || grep { ref ne 'HASH' || !defined $_->{from} || !defined $_->{to} } @{ $self->{rules} };
    $self->{redirect} = $config->{redirect} ? 1 : 0;
    $self->{code}     = $config->{redirect_code} // 301;
    return;
}

sub wrap {
    my ($self, $app) = @_;
    return sub {
        my ($scope, $receive, $send) = @_;
        return $app->($scope, $receive, $send) if $scope->{type} ne 'http';

        my $old = $scope->{path} // '/';
        my ($rule, @found) = $self->_rule($old);
        return $app->($scope, $receive, $send) unless $rule;

        my $new = _target($rule, sub { $_[0] }, @found);
        return $app->($scope, $receive, $send) if $new eq $old;
        return $self->_redirect($scope, $send, _target($rule, \&escape_path, @found))
            if $self->{redirect};
        return $app->(
            { %$scope, path => $new, original_path => $scope->{original_path} // $old },
            $receive, $send,
        );
    };
}

# The first rule that matches and what it captured: the groups of a pattern, or the
# rest of the path behind a string.
sub _rule {
    my ($self, $path) = @_;
    for my $rule (@{ $self->{rules} }) {
        my $from = $rule->{from};
        if (ref $from) {
            next unless $path =~ $from;
            return ($rule, map { defined $-[$_] ? substr($path, $-[$_], $+[$_] - $-[$_]) : undef } 1 .. $#+);
        }
        return ($rule, '') if $path eq $from;
        return ($rule, substr $path, length $from) if index($path, "$from/") == 0;
    }
    return;
}

sub _target {
    my ($rule, $filter, @found) = @_;
    my $to = $rule->{to};
    return $to . $filter->($found[0]) unless ref $rule->{from};
    $to =~ s/\$(\d+)/my $text = $1 ? $found[$1 - 1] : undef; defined $text ? $filter->($text) : ''/ge;
    return $to;
}

sub _redirect {
    my ($self, $scope, $send, $to) = @_;
    my $location = escape_path($to, 1);
    # "//host" from a path like /old//evil.example would leave this site.
    $location =~ s{\A[/\\]{2,}}{/} unless $to =~ m{\A[a-z][a-z0-9+.\-]*:}i;
    my $query = $scope->{query_string} // '';
    $location .= ($location =~ /\?/ ? '&' : '?') . escape_path($query, 1) if length $query;
    my $text = "Redirecting to $location";
    return reply($scope, $send, $self->{code}, [
        [ 'Content-Type',   'text/plain' ],
        [ 'Content-Length', length $text ],
        [ 'Location',       $location ],
    ], $text);
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::Rewrite - rewrite or redirect paths

=head1 SYNOPSIS

    use PAGI::Middleware::Builder;

    my $app = builder {
        enable 'Rewrite', rules => [
            { from => '/legacy',              to => '/v1' },            # /legacy/x becomes /v1/x
            { from => qr{^/user/(\d+)$},      to => '/profile/$1' },
        ];
        enable 'Rewrite', redirect => 1, redirect_code => 302, rules => [
            { from => qr{^/blog/(\d+)/(.+)$}, to => '/articles/$1-$2' },
        ];
        sub { my ($scope, $receive, $send) = @_; ... };
    };

=head1 DESCRIPTION

Acts on C<http> scopes. The first rule that matches the decoded path decides. When the result is the same
path, nothing happens. Otherwise the application is called with the new C<path> and the old one as
C<original_path>; C<raw_path> and C<query_string> stay (a C<?> in C<to> becomes part of the path). With
C<redirect> the client is sent to the new path plus the query instead; captured text is percent-encoded,
and a result beginning with C<//> is cut to one slash, so that a crafted path cannot lead to another host.

=head1 OPTIONS

=over 4

=item rules

Required array reference of C<< { from => ..., to => ... } >>. A string C<from> matches the whole path or its
beginning up to a C</>; the rest is appended to C<to>. A C<qr//> matches as it is, and the whole path becomes
C<to> with C<$1>, C<$2> ... replaced by the groups; a group that does not exist or did not match is empty.

=item redirect

Default 0.

=item redirect_code

Default 301.

=back

=head1 ERRORS

C<Rewrite middleware requires 'rules' option>, C<Rewrite 'rules' must be an arrayref of { from =E<gt> ..., to =E<gt> ... }>.

=cut
