package PAGI::App::WrapPSGI::Environment;

use strict;
use warnings;

use Exporter qw(import);
use IO::Handle ();

our @EXPORT_OK = qw(environment pool_size request_environment);

# A server of several processes keeps what they share in one of them, and says where.
my $IS_ONE_OF_MANY = defined &PAGI::Native::pool_size && ($ENV{PAGI_SHARED_STORE} // '') =~ /\Aunix:/ ? 1 : 0;

# Processes of the pool: their number, 0 in one of them, undef where there is no pool. The process that the application is loaded
# in becomes processes of all kinds.
*pool_size = defined &PAGI::Native::pool_size ? \&PAGI::Native::pool_size : sub { return undef };

my $ERRORS = \*STDERR;
my $LOGGER = sub { $ERRORS->print("[$_[0]{level}] $_[0]{message}\n") };

# Header names as keys. The names come from clients, so there is an end to remembering them.
my %KEY = ('content-type' => 'CONTENT_TYPE', 'content-length' => 'CONTENT_LENGTH', 'transfer-encoding' => '');
my $REMEMBERED = 500;

# One literal, without steps between: for a small request this is most of what the bridge costs.
sub environment {
    my ($scope, $input, $length, %more) = @_;
    my ($path, $raw_path, $query, $root, $server, $client) = @$scope{qw(path raw_path query_string root_path server client)};
    ($path, $query, $root) = ($path // '/', $query // '', $root // '');
    $path = _path_bytes($path, $raw_path) if $path =~ /[^\x00-\x7f]/;
    utf8::encode($root) if $root =~ /[^\x00-\x7f]/;
    $raw_path = _escaped($root . $path) unless defined $raw_path;
    my $scheme = $scope->{scheme} // 'http';
    my $env = {
        REQUEST_METHOD  => $scope->{method} // 'GET',
        SCRIPT_NAME     => $root,
        PATH_INFO       => $path,
        QUERY_STRING    => $query,
        REQUEST_URI     => length $query ? "$raw_path?$query" : $raw_path,
        SERVER_PROTOCOL => 'HTTP/' . ($scope->{http_version} // '1.1'),
        $server ? (SERVER_NAME => $server->[0], SERVER_PORT => $server->[1]) : (),
        $client ? (REMOTE_ADDR => $client->[0], REMOTE_PORT => $client->[1]) : (),
        $scheme eq 'https' ? (HTTPS => 'on') : (),
        'psgi.version'           => [1, 1],
        'psgi.url_scheme'        => $scheme,
        'psgi.input'             => $input,
        'psgi.errors'            => $ERRORS,
        'psgi.multithread'       => 0,
        'psgi.multiprocess'      => $IS_ONE_OF_MANY,
        'psgi.run_once'          => 0,
        'psgi.nonblocking'       => 1,
        'psgi.streaming'         => 1,
        'psgix.input.buffered'   => 1,
        'psgix.cleanup'          => 1,
        'psgix.cleanup.handlers' => [],
        'psgix.harakiri'         => 0,
        'psgix.logger'           => $LOGGER,
        defined $scope->{'psgix.io'} ? ('psgix.io' => $scope->{'psgix.io'}) : (),
        %more,
    };
    my @underscored;
    for my $header (@{ $scope->{headers} || [] }) {
        my $key = $KEY{ $header->[0] } // (index($header->[0], '_') < 0 ? _key($header->[0]) : push(@underscored, $header) && '');
        if (!exists $env->{$key}) {
            $env->{$key} = $header->[1] if length $key;    # transfer-encoding: undone already, it contradicts CONTENT_LENGTH (RFC 9112 6.3)
        }
        else {
            $env->{$key} = $key eq 'CONTENT_LENGTH' ? $header->[1] : $env->{$key} . ($key eq 'HTTP_COOKIE' ? '; ' : ', ') . $header->[1];
        }
    }
    _add_underscored($env, @underscored) if @underscored;
    # A chunked body has no length in its headers, but applications read as much as this says.
    $env->{CONTENT_LENGTH} = $length if $length && !defined $env->{CONTENT_LENGTH};
    return $env;
}

# `X_Real_Ip` looks like `X-Real-Ip` here. It must neither replace nor extend what a proxy has put there.
sub _add_underscored {
    my ($env, @headers) = @_;
    my %taken = map { $_ => 1 } keys %$env;
    for my $header (@headers) {
        (my $key = 'HTTP_' . uc $header->[0]) =~ tr/-/_/;
        next if $taken{$key};
        $env->{$key} = exists $env->{$key} ? "$env->{$key}, $header->[1]" : $header->[1];
    }
    return;
}

# What CGI and PSGI have in common.
sub request_environment {
    my ($scope, $length) = @_;
    my $env = environment($scope, undef, $length);
    delete @$env{ grep {/\Apsgix?\./} keys %$env };
    return $env;
}

sub _key {
    my ($name) = @_;
    my $lower = lc $name;
    return $KEY{$lower} if defined $KEY{$lower};
    (my $key = 'HTTP_' . uc $name) =~ tr/-/_/;
    $KEY{$lower} = $key if keys %KEY < $REMEMBERED;
    return $key;
}

# Decoding made characters of the octets if they were UTF-8 (PATH-2) and left them alone otherwise (PATH-3). Which it was,
# the path on the wire tells.
sub _path_bytes {
    my ($path, $raw_path) = @_;
    utf8::encode(my $encoded = $path);
    return $encoded unless defined $raw_path && utf8::downgrade($path, 1);
    (my $octets = $raw_path) =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ge;
    return substr($octets, -length $path) eq $path && $octets !~ /\Q$encoded\E\z/ ? $path : $encoded;
}

sub _escaped {
    my ($bytes) = @_;
    return $bytes =~ s{([^A-Za-z0-9\-._~!\$&'()*+,;=:\@/])}{sprintf '%%%02X', ord $1}ger;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::WrapPSGI::Environment - a scope as a PSGI environment

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::App::WrapPSGI::Environment qw(environment);

    open my $input, '<', \'name=Ann' or die;
    my $scope = { type => 'http', method => 'POST', path => '/', query_string => '', headers => [] };
    my $env   = environment($scope, $input, 8);
    print "$env->{REQUEST_METHOD} $env->{REQUEST_URI} $env->{CONTENT_LENGTH}\n";    # POST / 8

=head1 FUNCTIONS

=head2 environment

    my $env = environment($scope, $input, $length, %more);

The environment for a PSGI application: C<$input> is a seekable handle on the whole body, C<$length> its bytes; C<%more> goes over the rest.

Paths are bytes. C<SERVER_NAME>, C<SERVER_PORT>, C<REMOTE_ADDR> and C<REMOTE_PORT> are there if the scope has C<server> and
C<client>. Repeated headers are joined with C<, >, cookies with C<; >. C<CONTENT_LENGTH> is C<$length> when no header says it, as for
chunked requests. C<HTTPS> is C<on> for https. A header whose name has an underscore is left out when there is one with hyphens that looks the same here.

C<psgi.multiprocess> is true under a server with workers or a pool, C<psgi.nonblocking> and C<psgi.streaming> always; C<psgi.multithread>,
C<psgi.run_once> and C<psgix.harakiri> are false.

=head2 pool_size

How many processes the server's pool (C<--pool>) has: 0 in one of them, undef where there is none.

=head2 request_environment

    my $env = request_environment($scope, $length);

The part of it that CGI has too.

=cut
