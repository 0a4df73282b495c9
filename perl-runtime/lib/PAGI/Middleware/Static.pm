package PAGI::Middleware::Static;

use strict;
use warnings;
use parent 'PAGI::Middleware';

use Carp qw(croak);
use Cwd ();
use Digest::MD5 qw(md5_hex);
use Errno qw(ENOENT ENOTDIR EACCES ELOOP ENAMETOOLONG);
use File::Spec;
use HTTP::Date ();
use PAGI::Middleware::Support::ByteRange qw(byte_range);
use PAGI::Middleware::Support::Headers qw(request_header request_header_all);
use PAGI::Middleware::Support::Reply qw(reply in_turn);
use PAGI::Middleware::Support::Validators qw(etag_listed same_validator);

my %MIME = (
    html => 'text/html',        htm  => 'text/html',       css   => 'text/css',
    js   => 'application/javascript',                      json  => 'application/json',
    xml  => 'application/xml',  txt  => 'text/plain',      csv   => 'text/csv',
    png  => 'image/png',        jpg  => 'image/jpeg',      jpeg  => 'image/jpeg',
    gif  => 'image/gif',        svg  => 'image/svg+xml',   ico   => 'image/x-icon',
    webp => 'image/webp',       woff => 'font/woff',       woff2 => 'font/woff2',
    ttf  => 'font/ttf',         otf  => 'font/otf',        eot   => 'application/vnd.ms-fontobject',
    pdf  => 'application/pdf',  zip  => 'application/zip', gz    => 'application/gzip',
    tar  => 'application/x-tar',                           mp3   => 'audio/mpeg',
    mp4  => 'video/mp4',        webm => 'video/webm',      ogg   => 'audio/ogg',
    wav  => 'audio/wav',        bin  => 'application/octet-stream',
);

sub _init {
    my ($self, $config) = @_;
    die "Static middleware requires 'root' option\n"
        unless defined $config->{root} && length $config->{root};
    $self->{root} = File::Spec->rel2abs("$config->{root}");
    $self->{root} =~ s{(?<=.)/\z}{};
    my $path = $config->{path} // qr{^/};
    croak "Static 'path' must be a qr// pattern, a coderef or a string prefix"
        if ref $path && ref $path ne 'Regexp' && ref $path ne 'CODE';
    $self->{path}           = $path;
    $self->{pass_through}   = $config->{pass_through} ? 1 : 0;
    $self->{index}          = $config->{index} // [qw(index.html index.htm)];
    $self->{encoding}       = $config->{encoding};
    $self->{handle_ranges}  = $config->{handle_ranges} // 1;
    $self->{show_dotfiles}  = $config->{show_dotfiles} ? 1 : 0;
    $self->{follow_outside} = $config->{follow_outside} ? 1 : 0;
    return;
}

sub wrap {
    my ($self, $app) = @_;
    return sub {
        my ($scope, $receive, $send) = @_;
        return $app->($scope, $receive, $send)
            if $scope->{type} ne 'http' || ($scope->{method} // '') !~ /\A(?:GET|HEAD)\z/;
        my $wanted = $self->_wanted($scope->{path} // '/');
        return $app->($scope, $receive, $send) unless defined $wanted;

        my ($status, $file, @stat) = $self->_find($wanted);
        return $self->_serve($scope, $send, $file, @stat) if $status == 200;
        return $app->($scope, $receive, $send) if $status == 404 && $self->{pass_through};
        return _error($scope, $send, $status);
    };
}

# The path to serve, or undef when this request is not ours.
sub _wanted {
    my ($self, $path) = @_;
    my $gate = $self->{path};
    if (ref $gate eq 'Regexp') {
        return unless $path =~ $gate;
    }
    elsif (ref $gate eq 'CODE') {
        my $argument = $path;
        my $answer;
        # Both the aliased argument and $_ may be changed in place.
        for ($argument) { $answer = $gate->($_) }
        return unless $answer;
        $path = "$answer" eq '1' ? $argument : "$answer";
    }
    else {
        (my $prefix = $gate) =~ s{/\z}{};
        return unless $path eq $prefix || index($path, "$prefix/") == 0;
    }
    return $path =~ m{\A/} ? $path : "/$path";
}

# Status, and for 200 the absolute file name and its stat.
sub _find {
    my ($self, $path) = @_;
    $path =~ s/\?.*//s;
    return 404 if $path =~ /\0/;    # no file has such a name

    my @segments;
    for my $segment (split m{/}, $path) {
        next if $segment eq '' || $segment eq '.';
        if ($segment ne '..') { push @segments, $segment; next }
        return 403 unless @segments;
        pop @segments;
    }
    # RFC 8615 puts public files below .well-known; other dot names are private.
    return $self->{pass_through} ? 404 : 403
        if !$self->{show_dotfiles}
        && grep { /\A\./ && !($_ eq '.well-known' && $_ eq $segments[0]) } @segments;

    for my $name (_spellings(join '/', @segments)) {
        my $file = length $name ? "$self->{root}/$name" : $self->{root};
        my @stat = stat $file;
        if (!@stat) {
            # Not there, or not for us; anything else is trouble with the disk.
            next if grep { $! == $_ } ENOENT, ENOTDIR, EACCES, ELOOP, ENAMETOOLONG;
            return 500;
        }
        return $self->_checked($file, @stat) unless -d _;
        for my $index (@{ $self->{index} }) {
            my $candidate = "$file/$index";
            my @index_stat = stat $candidate or next;
            next unless -f _;
            return $self->_checked($candidate, @index_stat);
        }
    }
    return 404;
}

# File names are bytes, the path is characters: normally the name is its UTF-8; a path
# that was not UTF-8 on the wire (PATH-3) is the name itself.
sub _spellings {
    my ($name) = @_;
    return $name if $name !~ /[^\x00-\x7f]/;
    utf8::encode(my $encoded = $name);
    return utf8::downgrade($name, 1) ? ($encoded, $name) : $encoded;
}

sub _checked {
    my ($self, $file, @stat) = @_;
    return 404 unless -f $file && -r _;
    if (!$self->{follow_outside}) {
        # With a separator: /srv/wwwevil is not inside /srv/www.
        my ($real, $root) = map { Cwd::realpath($_) } $file, $self->{root};
        return 403 unless defined $real && defined $root && index($real, $root eq '/' ? '/' : "$root/") == 0;
    }
    return (200, $file, @stat[ 7, 9 ]);
}

sub _serve {
    my ($self, $scope, $send, $file, $size, $mtime) = @_;
    my $etag = '"' . md5_hex("$file\0$size\0$mtime") . '"';
    my $tags = join ', ', request_header_all($scope, 'if-none-match');
    return reply($scope, $send, 304, [ [ 'etag', $etag ] ], '')
        if length $tags && etag_listed($tags, $etag);

    my $modified = HTTP::Date::time2str($mtime);
    my $head = $scope->{method} eq 'HEAD';
    my ($start, $end);
    # RFC 9110 14.2: Range means something for GET only.
    my $range = $self->{handle_ranges} && !$head ? request_header($scope, 'range') : undef;
    if (defined $range) {
        my $unchanged = request_header($scope, 'if-range');
        undef $range if defined $unchanged && !same_validator($unchanged, $etag, $modified);
    }
    if (defined $range) {
        (my $answer, $start, $end) = byte_range($range, $size);
        return _error($scope, $send, 416, [ 'content-range', "bytes */$size" ])
            if $answer eq 'unsatisfiable';
    }

    my $partial = defined $start;
    my $length = $partial ? $end - $start + 1 : $size;
    my @headers = (
        [ 'content-type',  _mime_type($file) ],
        [ 'etag',          $etag ],
        [ 'last-modified', $modified ],
        [ 'accept-ranges', 'bytes' ],
        ($partial ? [ 'content-range', "bytes $start-$end/$size" ] : ()),
        [ 'content-length', $length ],
    );
    return in_turn(
        $send,
        { type => 'http.response.start', status => $partial ? 206 : 200, headers => \@headers },
        $head      ? { type => 'http.response.body', body => '', more => 0 }
        : $partial ? { type => 'http.response.body', file => $file, offset => $start, length => $length }
        :            { type => 'http.response.body', file => $file },
    );
}

sub _mime_type {
    my ($file) = @_;
    my ($extension) = $file =~ /\.([^.\/]+)\z/;
    return $MIME{ lc($extension // '') } // 'application/octet-stream';
}

my %TEXT = (
    403 => 'Forbidden', 404 => 'Not Found', 416 => 'Range Not Satisfiable', 500 => 'Cannot stat file',
);

sub _error {
    my ($scope, $send, $status, @more) = @_;
    my $text = $TEXT{$status};
    return reply($scope, $send, $status,
        [ [ 'content-type', 'text/plain' ], @more, [ 'content-length', length $text ] ], $text);
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::Static - serve files in front of an application

=head1 SYNOPSIS

    use PAGI::Middleware::Builder;

    my $app = builder {
        enable 'Static', root => 'public', path => '/assets', pass_through => 0;
        sub { my ($scope, $receive, $send) = @_; ... };
    };

    # strip the prefix: /assets/a.css is public/a.css
    my $other = builder {
        enable 'Static', root => 'public', path => sub { $_[0] =~ s{^/assets}{} };
        sub { my ($scope, $receive, $send) = @_; ... };
    };

=head1 DESCRIPTION

Acts on C<http> scopes with GET or HEAD whose path is let in by C<path>; everything else goes to the application.
The server sends the file itself (C<file> body event).

Responses have C<content-type> (by extension), C<etag>, C<last-modified>, C<accept-ranges> and C<content-length>.
C<If-None-Match> (lists, weak tags and C<*>) gives 304; a single byte C<Range>, with C<If-Range>, 206 or 416.

Not served: anything outside C<root> (403), be it by C<..> or by a symbolic link; names that begin with a dot,
except below C</.well-known> (403, or the application with C<pass_through>); directories without an index file and files the
process may not read (404).

=head1 OPTIONS

=over 4

=item root

Required directory; made absolute.

=item path

Which paths to serve: a C<qr//> pattern (default C<qr{^/}>), a string prefix (whole segments), or a coderef. The coderef
is called with the path; false passes the request on, C<1> serves the path (changes to its argument count), any other
string is the path to serve. Pattern and prefix do not remove anything from the path.

=item pass_through

True: what is not there goes to the application instead of 404. Default 0.

=item index

Names of index files, default C<['index.html', 'index.htm']>.

=item handle_ranges

0 ignores C<Range>, for use with L<PAGI::Middleware::XSendfile>. Default 1.

=item show_dotfiles

True: serve names that begin with a dot. Default 0.

=item follow_outside

True: serve what symbolic links outside C<root> point to. Default 0.

=item encoding

Accepted and not used.

=back

The path is characters; file names on disk are its UTF-8.

=head1 ERRORS

C<Static middleware requires 'root' option>.

=cut
