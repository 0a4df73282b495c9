package PAGI::Simple::File;

use strict;
use warnings;

use Carp qw(croak);
use File::Basename ();
use File::Spec;
use Future;
use HTTP::Date ();
use PAGI::Middleware::Support::ByteRange qw(byte_range);
use PAGI::Response::File;
use Time::HiRes ();

our @CARP_NOT = qw(PAGI::Simple::Context::Response);

my %OPTION = map { $_ => 1 } qw(filename content_type inline chunk_size);

my %TYPE = (
    (map { $_->[0] => "$_->[1]; charset=utf-8" }
        [ html => 'text/html' ], [ htm => 'text/html' ], [ css => 'text/css' ], [ js => 'text/javascript' ],
        [ mjs => 'text/javascript' ], [ txt => 'text/plain' ], [ xml => 'application/xml' ], [ json => 'application/json' ],
        [ csv => 'text/csv' ]),
    png => 'image/png', jpg => 'image/jpeg', jpeg => 'image/jpeg', gif => 'image/gif', svg => 'image/svg+xml',
    webp => 'image/webp', ico => 'image/x-icon', avif => 'image/avif',
    woff => 'font/woff', woff2 => 'font/woff2', ttf => 'font/ttf', otf => 'font/otf',
    pdf => 'application/pdf', doc => 'application/msword', xls => 'application/vnd.ms-excel', ppt => 'application/vnd.ms-powerpoint',
    docx => 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
    xlsx => 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
    pptx => 'application/vnd.openxmlformats-officedocument.presentationml.presentation',
    zip => 'application/zip', gz => 'application/gzip', tar => 'application/x-tar', bz2 => 'application/x-bzip2',
    xz => 'application/x-xz', '7z' => 'application/x-7z-compressed',
    mp3 => 'audio/mpeg', ogg => 'audio/ogg', wav => 'audio/wav', flac => 'audio/flac',
    mp4 => 'video/mp4', webm => 'video/webm', avi => 'video/x-msvideo', mov => 'video/quicktime',
    wasm => 'application/wasm',
);

sub new {
    my ($class, $path, %options) = @_;
    my @unknown = grep { !$OPTION{$_} } sort keys %options;
    croak 'Unknown options to send_file: ' . join(', ', @unknown) . '. Valid: ' . join(', ', sort keys %OPTION) if @unknown;
    croak 'File not found: ' . (defined $path ? $path : '(undef)') unless defined $path && -f $path;
    croak "Cannot read file: $path" unless -r $path;
    my @stat = Time::HiRes::stat($path);
    return bless { path => File::Spec->rel2abs($path), size => $stat[7], modified => $stat[9], %options }, $class;
}

sub content_type {
    my ($self) = @_;
    return $self->{content_type} if defined $self->{content_type};
    my ($extension) = $self->{path} =~ /\.([^.\/]+)\z/;
    return defined $extension && $TYPE{ lc $extension } || 'application/octet-stream';
}

sub etag {
    my ($self) = @_;
    return sprintf '"%x-%x"', $self->{modified} * 1000, $self->{size};
}

# The server reads and sends the file itself; here only validators and ranges are decided.
sub send {
    my ($self, $c) = @_;
    my $req = $c->req;
    my $filename = defined $self->{filename} ? $self->{filename} : File::Basename::basename($self->{path});
    my $disposition = PAGI::Response::File->disposition($filename);
    $disposition =~ s/\Aattachment/inline/ if $self->{inline};

    my $type = $self->content_type;
    $c->{type} = $type unless defined $c->{type};
    $c->res_header('content-disposition', $disposition);
    my ($offset, $length) = (0, $self->{size});
    if ($c->{status} == 200) {
        my $modified = HTTP::Date::time2str($self->{modified});
        $c->res_header('etag', $self->etag)->res_header('last-modified', $modified)->res_header('accept-ranges', 'bytes');
        if (_is_known($self->etag, $req)) {
            delete $c->{type};
            $c->{headers} = [ grep { lc $_->[0] ne 'content-disposition' } @{ $c->{headers} } ];
            return $c->status(304)->send_response('');
        }
        ($offset, $length) = $self->_range($c, $req, $modified);
        return $c->status(416)->res_header('content-range', "bytes */$self->{size}")->send_response('') unless defined $offset;
    }
    my $start = $c->_start($type, [ 'content-length', $length ]);
    my $body = sub { $self->_body($c, $offset, $length) };
    return $start->is_done ? $body->() : $start->then($body);
}

sub _is_known {
    my ($etag, $req) = @_;
    my $list = $req->header('if-none-match');
    return 0 unless defined $list;
    return scalar grep { $_ eq '*' || $_ eq $etag || $_ eq "W/$etag" } split /\s*,\s*/, $list;
}

sub _range {
    my ($self, $c, $req, $modified) = @_;
    my $header = $req->header('range');
    my $if = $req->header('if-range');
    return (0, $self->{size}) if !defined $header || $req->method ne 'GET' || (defined $if && $if ne $self->etag && $if ne $modified);
    my ($verdict, $first, $last) = byte_range($header, $self->{size});
    return (0, $self->{size}) if $verdict eq 'ignored';
    return if $verdict eq 'unsatisfiable';
    $c->status(206)->res_header('content-range', "bytes $first-$last/$self->{size}");
    return ($first, $last - $first + 1);
}

sub _body {
    my ($self, $c, $offset, $length) = @_;
    my $scope = $c->{scope};
    # an empty file has nothing to send, but the response has to end
    return $c->_body('', 0) if !$length || ($scope->{method} || '') eq 'HEAD' || ($scope->{type} || 'http') ne 'http';
    $c->{size} += $length;
    my %event = (type => 'http.response.body', file => $self->{path});
    $event{offset} = $offset if $offset;
    $event{length} = $length if $length < $self->{size} - $offset;
    return $c->{send}->(\%event);
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::File - a file as a response

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple;

    my $app = PAGI::Simple->new(name => 'Demo', quiet => 1);
    $app->get('/source' => sub {
        my ($c) = @_;
        $c->send_file($0, filename => 'source.pl', content_type => 'text/plain; charset=utf-8', inline => 1);
    });

=head1 DESCRIPTION

What C<< $c->send_file >> does. The file goes to the server as its path, which sends it without passing it through Perl. With the status
200 there are C<etag>, C<last-modified>, a 304 for C<If-None-Match> and a 206 for one byte range. Files always come as B<bytes>.

=head1 METHODS

=head2 new

    my $file = PAGI::Simple::File->new($path, %options);

A relative path is one from the current directory. Options: C<filename> (default: the last part of the path; characters), C<content_type> (default: by extension), C<inline> (0; else an
attachment), C<chunk_size> (accepted for compatibility; the server chooses). Croaks C<File not found: PATH> and C<Cannot read file: PATH>.

=head2 content_type, etag

The type by extension or as given; the entity tag, from modification time and size.

=head2 send

    my $future = $file->send($c);

=cut
