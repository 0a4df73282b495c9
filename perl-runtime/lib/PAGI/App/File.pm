package PAGI::App::File;

use strict;
use warnings;

use Carp qw(croak);
use Cwd ();
use Digest::MD5 qw(md5_hex);
use Fcntl qw(S_ISDIR S_ISREG);
use HTTP::Date ();
use PAGI::App::Support::Answer qw(text_answer unsupported);
use PAGI::Middleware::Support::ByteRange qw(byte_range);
use PAGI::Middleware::Support::Headers qw(request_header request_header_all);
use PAGI::Middleware::Support::Reply qw(in_turn);
use PAGI::Middleware::Support::Validators qw(etag_listed not_modified_since same_validator);
use Time::HiRes ();

our %MIME_TYPES = (
    html => 'text/html',       htm   => 'text/html',
    css  => 'text/css',        js    => 'application/javascript',
    json => 'application/json', xml  => 'application/xml',
    txt  => 'text/plain',      pl    => 'text/plain',       md => 'text/plain',
    png  => 'image/png',       jpg   => 'image/jpeg',       jpeg => 'image/jpeg',
    gif  => 'image/gif',       svg   => 'image/svg+xml',    ico => 'image/x-icon',
    webp => 'image/webp',      woff  => 'font/woff',        woff2 => 'font/woff2',
    ttf  => 'font/ttf',        pdf   => 'application/pdf',  zip => 'application/zip',
    mp3  => 'audio/mpeg',      mp4   => 'video/mp4',        webm => 'video/webm',
);

sub new {
    my ($class, %args) = @_;
    my $root = Cwd::realpath($args{root} // '.');
    croak "The root directory '$args{root}' does not exist" unless defined $root;
    return bless {
        root          => $root,
        default_type  => $args{default_type} // 'application/octet-stream',
        index         => $args{index} // [qw(index.html index.htm)],
        handle_ranges => $args{handle_ranges} // 1,
    }, $class;
}

sub to_app {
    my ($self) = @_;
    my $fixed = bless { %$self }, ref $self;
    return sub {
        my ($scope, $receive, $send) = @_;
        return unsupported($scope) if ($scope->{type} // '') ne 'http';

        my ($status, $path) = $fixed->_checked_path($scope);
        return _refusal($scope, $send, $status) if $status;
        return $fixed->_answer($scope, $send, $path);
    };
}

# The status that refuses the request, or 0 and the path below the root, without slashes at its ends.
sub _checked_path {
    my ($self, $scope) = @_;
    return 405 if ($scope->{method} // '') !~ /\A(?:GET|HEAD)\z/;
    my $path = $scope->{path} // '/';
    return 400 if $path =~ /\0/;
    $path =~ tr{\\}{/};
    return 403 if $path =~ m{(?:\A|/)\.};    # '.', '..' and longer, and all hidden names
    $path =~ s{\A/+}{};
    return (0, $path);
}

sub _answer {
    my ($self, $scope, $send, $path) = @_;
    for my $name (_spellings($path)) {
        my $target = $self->_target($name);
        my @stat = Time::HiRes::stat($target) or next;
        return $self->_directory($scope, $send, $target, $path) if S_ISDIR($stat[2]);
        return $self->_file($scope, $send, $target, \@stat);
    }
    return $self->_missing($scope, $send, $path);
}

sub _target {
    my ($self, $name) = @_;
    my $root = $self->{root} eq '/' ? '' : $self->{root};
    return "$root/$name";
}

# File names are bytes, the path is characters: normally the name is its UTF-8; a path that was not UTF-8 on the wire (PATH-3) is
# the name itself.
sub _spellings {
    my ($name) = @_;
    return $name if $name !~ /[^\x00-\x7f]/;
    utf8::encode(my $encoded = $name);
    return utf8::downgrade($name, 1) ? ($encoded, $name) : $encoded;
}

# For subclasses: a directory that has no index file, and a path where there is nothing.
sub _listing { my ($self, $scope, $send) = @_; return _refusal($scope, $send, 404) }
sub _missing { my ($self, $scope, $send) = @_; return _refusal($scope, $send, 404) }

sub _directory {
    my ($self, $scope, $send, $directory, $path) = @_;
    $directory =~ s{/+\z}{};
    for my $index (@{ $self->{index} }) {
        my @stat = Time::HiRes::stat("$directory/$index") or next;
        next unless S_ISREG($stat[2]) && -r "$directory/$index";
        return $self->_file($scope, $send, "$directory/$index", \@stat);
    }
    return $self->_listing($scope, $send, length $directory ? $directory : '/', $path);
}

# The name without symbolic links, if that is inside the root. With a separator: /srv/wwwevil is not inside /srv/www.
sub _inside {
    my ($self, $file) = @_;
    my $real = Cwd::realpath($file);
    return undef unless defined $real;
    my $root = $self->{root};
    return $real if $real eq $root || index($real, $root eq '/' ? '/' : "$root/") == 0;
    return undef;
}

sub _file {
    my ($self, $scope, $send, $file, $stat) = @_;
    return _refusal($scope, $send, 404) unless S_ISREG($stat->[2]) && -r $file;
    # The server opens the name that was checked, not one that a link in it could still change.
    my $real = $self->_inside($file);
    return _refusal($scope, $send, 403) unless defined $real;

    my ($size, $mtime) = @$stat[7, 9];
    my $etag = '"' . md5_hex("$mtime-$size") . '"';
    my $modified = HTTP::Date::time2str(int $mtime);
    my $condition = _condition($scope, $etag, $modified);
    return _refusal($scope, $send, 412) if $condition eq 'failed';
    return in_turn($send,
        { type => 'http.response.start', status => 304, headers => [['etag', $etag]] },
        { type => 'http.response.body', body => '', more => 0 }) if $condition eq 'unchanged';

    my $head = $scope->{method} eq 'HEAD';
    my ($outcome, $first, $last) = $head ? 'ignored' : $self->_range($scope, $size, $etag, $modified);
    return _refusal($scope, $send, 416, ['content-range', "bytes */$size"]) if $outcome eq 'unsatisfiable';

    my $length = defined $first ? $last - $first + 1 : $size;
    my %body = (type => 'http.response.body', file => $real);
    @body{qw(offset length)} = ($first, $length) if defined $first;
    return in_turn(
        $send,
        {
            type    => 'http.response.start',
            status  => defined $first ? 206 : 200,
            headers => [
                ['content-type',   $self->_type_of($file)],
                ['content-length', $length],
                (defined $first ? ['content-range', "bytes $first-$last/$size"] : ()),
                ($self->{handle_ranges} ? ['accept-ranges', 'bytes'] : ()),
                ['etag',          $etag],
                ['last-modified', $modified],
            ],
        },
        $head ? { type => 'http.response.body', body => '', more => 0 } : \%body,
    );
}

# RFC 9110 13.2.2: 'failed', 'unchanged' or ''.
sub _condition {
    my ($scope, $etag, $modified) = @_;
    my %value;
    for my $header (@{ $scope->{headers} || [] }) {
        my $name = lc $header->[0];
        next unless $name =~ /\Aif-(?:none-)?match\z|\Aif-(?:un)?modified-since\z/;
        $value{$name} = defined $value{$name} ? "$value{$name}, $header->[1]" : $header->[1];
    }
    return '' unless %value;

    if (defined(my $wanted = $value{'if-match'})) {
        # Strong comparison: a weak tag is never ours.
        return 'failed' unless etag_listed($wanted =~ s{W/"[^"]*"}{}gr, $etag);
    }
    elsif (defined $value{'if-unmodified-since'} && defined HTTP::Date::str2time($value{'if-unmodified-since'}, 'GMT')) {
        return 'failed' unless not_modified_since($value{'if-unmodified-since'}, $modified);
    }
    return etag_listed($value{'if-none-match'}, $etag) ? 'unchanged' : '' if defined $value{'if-none-match'};
    return defined $value{'if-modified-since'} && not_modified_since($value{'if-modified-since'}, $modified) ? 'unchanged' : '';
}

sub _range {
    my ($self, $scope, $size, $etag, $modified) = @_;
    my $range = $self->{handle_ranges} ? request_header($scope, 'range') : undef;
    return 'ignored' unless defined $range;
    my $unchanged = request_header($scope, 'if-range');
    return 'ignored' if defined $unchanged && !same_validator($unchanged, $etag, $modified);
    return byte_range($range, $size);
}

sub _type_of {
    my ($self, $file) = @_;
    my ($extension) = $file =~ /\.([^.\/]+)\z/;
    return $MIME_TYPES{ lc($extension // '') } // $self->{default_type};
}

my %TEXT = (
    400 => 'Bad Request', 403 => 'Forbidden', 404 => 'Not Found', 405 => 'Method Not Allowed',
    412 => 'Precondition Failed', 416 => 'Range Not Satisfiable',
);

sub _refusal {
    my ($scope, $send, $status, @headers) = @_;
    push @headers, ['allow', 'GET, HEAD'] if $status == 405;
    return text_answer($scope, $send, $status, $TEXT{$status}, @headers);
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::File - static files

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::App::File;
    use PAGI::App::URLMap;

    $PAGI::App::File::MIME_TYPES{wasm} = 'application/wasm';

    my $files = PAGI::App::File->new(root => '.');
    my $app   = PAGI::App::URLMap->new->mount('/static' => $files)->to_app;

=head1 DESCRIPTION

Serves the files below a directory for GET and HEAD. The server opens and sends the file, or the part of it, itself (C<file>,
C<offset> and C<length> of C<http.response.body>). Other scope types are rejected: the Future fails.

=over

=item What is not served

Other methods (405 with C<allow>), paths with NUL (400), names that begin with a dot, in any part of the path and with backslashes taken
for slashes (403), what a symbolic link moves out of the root (403), and whatever is no readable regular file (404). A
directory is its first index file, or 404.

=item Caching

C<etag> from the modification time and the size, and C<last-modified>. C<If-None-Match> (lists, weak tags, C<*>) and, without it,
C<If-Modified-Since> give 304 with C<etag> alone; C<If-Match> and C<If-Unmodified-Since> may give 412.

=item Ranges

One byte range gives 206, an unsatisfiable one 416 with C<content-range>; C<If-Range> is respected. Several ranges in one request are
answered with the whole file.

=back

C<path> in the scope is decoded already and is used as it is; file names are its UTF-8.

=head1 METHODS

=head2 new

=over

=item root

Directory, resolved now. Default the current directory. Croaks C<The root directory 'X' does not exist>.

=item default_type

For unknown extensions. Default C<application/octet-stream>.

=item index

Arrayref of index file names. Default C<['index.html', 'index.htm']>.

=item handle_ranges

0 ignores C<Range>. Default 1.

=back

=head2 to_app

The app.

=head1 VARIABLES

=head2 %PAGI::App::File::MIME_TYPES

Media types by extension in lower case. Add your own.

=head1 SEE ALSO

L<PAGI::App::Directory>, L<PAGI::Middleware::Static>

=cut
