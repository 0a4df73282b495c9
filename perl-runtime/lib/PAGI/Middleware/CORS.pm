package PAGI::Middleware::CORS;

use strict;
use warnings;
use parent 'PAGI::Middleware';

use PAGI::Middleware::Support::Headers qw(request_header adding_headers);
use PAGI::Middleware::Support::Reply qw(reply);

sub _init {
    my ($self, $config) = @_;
    my $list = sub {
        my ($name, @default) = @_;
        my $value = $config->{$name} // \@default;
        return ref $value eq 'ARRAY' ? @$value : $value;
    };
    $self->{applies}     = $self->_guarded_scope_types($config, qw(http sse));
    $self->{origins}     = { map { $_ => 1 } $list->('origins', '*') };
    $self->{any_origin}  = delete $self->{origins}{'*'};
    $self->{methods}     = join ', ', $list->('methods', qw(GET POST PUT DELETE PATCH OPTIONS));
    $self->{headers}     = join ', ', $list->('headers', qw(Content-Type Authorization X-Requested-With));
    $self->{expose}      = join ', ', $list->('expose_headers');
    $self->{credentials} = $config->{credentials} ? 1 : 0;
    $self->{max_age}     = $config->{max_age} // 86400;

    warn 'CORS: wildcard origin together with credentials lets every web site make'
        . " requests as the user; list the origins instead\n"
        if $self->{any_origin} && $self->{credentials};
    return;
}

sub wrap {
    my ($self, $app) = @_;
    return sub {
        my ($scope, $receive, $send) = @_;
        return $app->($scope, $receive, $send) unless $self->{applies}{ $scope->{type} };

        my $origin  = request_header($scope, 'origin');
        my $present = defined $origin && length $origin;
        my $allowed = $present && ($self->{any_origin} || $self->{origins}{$origin});

        if ($present && ($scope->{method} // '') eq 'OPTIONS') {
            return reply($scope, $send, 204,
                $allowed ? [ $self->_headers($origin), $self->_preflight ] : [], '');
        }
        return $app->($scope, $receive, $send) unless $allowed;
        return $app->($scope, $receive, adding_headers($send, sub { $self->_headers($origin) }));
    };
}

sub _headers {
    my ($self, $origin) = @_;
    my $star = $self->{any_origin} && !$self->{credentials};
    return (
        [ 'Access-Control-Allow-Origin', $star ? '*' : $origin ],
        $self->{credentials}    ? [ 'Access-Control-Allow-Credentials', 'true' ]        : (),
        length $self->{expose}  ? [ 'Access-Control-Expose-Headers', $self->{expose} ]  : (),
        [ 'Vary', 'Origin' ],
    );
}

sub _preflight {
    my ($self) = @_;
    return (
        [ 'Access-Control-Allow-Methods', $self->{methods} ],
        [ 'Access-Control-Allow-Headers', $self->{headers} ],
        [ 'Access-Control-Max-Age',       $self->{max_age} ],
    );
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::CORS - cross-origin headers and preflight answers

=head1 SYNOPSIS

    use PAGI::Middleware::Builder;

    my $app = builder {
        enable 'CORS',
            origins     => ['https://app.example.org'],
            credentials => 1;
        sub { my ($scope, $receive, $send) = @_; ... };
    };

=head1 DESCRIPTION

Acts on C<http> and C<sse> scopes (a cross-origin C<EventSource> needs the headers too).

A preflight is any C<OPTIONS> request with an C<Origin>. It is answered with 204 and an empty
body, and the application is not called; for an origin that is not allowed, without any
C<Access-Control-*> header. Other requests from an allowed origin get the headers appended to
their response; requests without C<Origin> or from elsewhere are left alone.

CORS tells browsers what scripts may read. It does not stop a request: that is the job of
L<PAGI::Middleware::CSRF> and of authentication.

=head1 OPTIONS

Lists are array references; a plain string counts as a list of one.

=over 4

=item origins

Default C<['*']>. Compared as exact strings.

=item methods

Default C<GET POST PUT DELETE PATCH OPTIONS>.

=item headers

Request headers scripts may send. Default C<Content-Type Authorization X-Requested-With>.

=item expose_headers

Response headers scripts may read. Default none.

=item credentials

Allow cookies and authentication, default 0. The request's origin is then echoed instead of
C<*>. Together with C<*> in C<origins> the constructor warns: that combination lets every web
site act as the user.

=item max_age

Seconds a browser may remember a preflight, default 86400.

=item scope_types

See L<PAGI::Middleware/"SCOPE TYPES">.

=back

=cut
