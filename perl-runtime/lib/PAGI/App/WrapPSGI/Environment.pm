package PAGI::App::WrapPSGI::Environment;

use strict;
use warnings;

use Exporter qw(import);
use IO::Handle ();

our @EXPORT_OK = qw(environment request_environment);

my $ERRORS = \*STDERR;
my $LOGGER = sub { $ERRORS->print("[$_[0]{level}] $_[0]{message}\n") };

# Header names as keys. The names come from clients, so there is an end to remembering them.
my %KEY = ('content-type' => 'CONTENT_TYPE', 'content-length' => 'CONTENT_LENGTH', 'transfer-encoding' => '');
my $REMEMBERED = 500;

sub environment {
    my ($scope, $input, $length, %more) = @_;
    my $env = request_environment($scope, $length);
    @$env{qw(psgi.multithread psgi.multiprocess psgi.run_once psgix.harakiri)} = (0, 0, 0, 0);
    @$env{qw(psgi.streaming psgi.nonblocking psgix.input.buffered psgix.cleanup)} = (1, 1, 1, 1);
    $env->{'psgi.version'}           = [1, 1];
    $env->{'psgi.url_scheme'}        = $scope->{scheme} // 'http';
    $env->{'psgi.input'}             = $input;
    $env->{'psgi.errors'}            = $ERRORS;
    $env->{'psgix.cleanup.handlers'} = [];
    $env->{'psgix.logger'}           = $LOGGER;
    $env->{'psgix.io'} = $scope->{'psgix.io'} if defined $scope->{'psgix.io'};
    @$env{ keys %more } = values %more if %more;
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

# What CGI and PSGI have in common.
sub request_environment {
    my ($scope, $length) = @_;
    my $query = $scope->{query_string} // '';
    my $env = {
        REQUEST_METHOD  => $scope->{method} // 'GET',
        SCRIPT_NAME     => _bytes($scope->{root_path} // ''),
        PATH_INFO       => _path_bytes($scope),
        QUERY_STRING    => $query,
        SERVER_PROTOCOL => 'HTTP/' . ($scope->{http_version} // '1.1'),
    };
    my $raw_path = $scope->{raw_path} // _escaped($env->{SCRIPT_NAME} . $env->{PATH_INFO});
    $env->{REQUEST_URI} = length $query ? "$raw_path?$query" : $raw_path;
    @$env{qw(SERVER_NAME SERVER_PORT)} = @{ $scope->{server} } if $scope->{server};
    @$env{qw(REMOTE_ADDR REMOTE_PORT)} = @{ $scope->{client} } if $scope->{client};

    for my $header (@{ $scope->{headers} || [] }) {
        my $key = $KEY{ $header->[0] } // _key($header->[0]);
        next unless length $key;    # transfer-encoding: undone already, it contradicts CONTENT_LENGTH (RFC 9112 6.3)
        $env->{$key} = !defined $env->{$key} || $key eq 'CONTENT_LENGTH' ? $header->[1]
            : $env->{$key} . ($key eq 'HTTP_COOKIE' ? '; ' : ', ') . $header->[1];
    }
    # A chunked body has no length in its headers, but applications read as much as this says.
    $env->{CONTENT_LENGTH} = $length if $length && !defined $env->{CONTENT_LENGTH};
    return $env;
}

sub _bytes {
    my ($text) = @_;
    utf8::encode($text) if $text =~ /[^\x00-\x7f]/;
    return $text;
}

# Decoding made characters of the octets if they were UTF-8 (PATH-2) and left them alone otherwise (PATH-3). Which it was,
# the path on the wire tells.
sub _path_bytes {
    my ($scope) = @_;
    my $path = $scope->{path} // '/';
    return $path if $path !~ /[^\x00-\x7f]/;
    my $encoded = _bytes($path);
    return $encoded unless defined $scope->{raw_path} && utf8::downgrade($path, 1);
    (my $octets = $scope->{raw_path}) =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ge;
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
chunked requests.

=head2 request_environment

    my $env = request_environment($scope, $length);

The part of it that CGI has too.

=cut
