package PAGI::Request::MultipartParser;

use strict;
use warnings;

use Encode ();

# Neither belongs to the content, so neither may grow with it.
my $MAX_PREAMBLE = 32 * 1024;
my $MAX_HEADER   = 32 * 1024;

sub new {
    my ($class, $boundary) = @_;
    # RFC 2046 5.1.1 allows 70 characters; some clients send a few more
    die "Invalid multipart boundary\n" unless $boundary =~ /\A[\x20-\x7e]{1,200}\z/;
    return bless {
        delimiter => "\r\n--$boundary",
        # the first delimiter may be the first line: as if a line had ended before
        buffer    => "\r\n",
        state     => 'preamble',
        skip      => 0,
        fed       => 0,
    }, $class;
}

sub is_complete { $_[0]{state} eq 'epilogue' ? 1 : 0 }

# True when no byte came at all.
sub is_empty { $_[0]{fed} ? 0 : 1 }

sub _error { die "Multipart parse error: $_[0]\n" }

sub finish {
    my ($self) = @_;
    return if $self->is_complete;
    # "--boundary--" without a line end, as some clients send it
    return if $self->{state} eq 'boundary' && $self->{buffer} =~ /\A--[ \t]*\r?\z/;
    _error("End of stream encountered while parsing $self->{state}");
}

# Returns the events found so far: [ part => \%part ], [ data => $bytes ], [ 'end' ].
sub feed {
    my ($self, $bytes) = @_;
    return unless length $bytes;
    $self->{fed} = 1;
    $self->{buffer} .= $bytes;

    my @events;
    my $step;
    while (1) {
        my $state = $self->{state};
        $step = $state eq 'part body'   ? $self->_body(\@events)
              : $state eq 'part header' ? $self->_header(\@events)
              : $state eq 'boundary'    ? $self->_boundary
              : $state eq 'preamble'    ? $self->_preamble
              :                           $self->_epilogue;
        last unless $step;
    }
    return @events;
}

# Each step returns true when it moved on to another state.

sub _preamble {
    my ($self) = @_;
    my $at = index $self->{buffer}, $self->{delimiter};
    if ($at < 0) {
        _error('Size of preamble exceeds maximum allowed') if length $self->{buffer} > $MAX_PREAMBLE;
        return 0;
    }
    substr $self->{buffer}, 0, $at + length $self->{delimiter}, '';
    $self->{state} = 'boundary';
    return 1;
}

sub _boundary {
    my ($self) = @_;
    # a short copy: matching with captures against the buffer itself would make Perl copy all of it
    my $head = substr $self->{buffer}, 0, 256;
    if ($head =~ /\A([ \t]*)\r\n/) {
        # the line end stays: it may at once be the first half of the blank line of a part without headers
        substr $self->{buffer}, 0, length $1, '';
        $self->{state} = 'part header';
        return 1;
    }
    if ($head =~ /\A(--[ \t]*\r\n)/) {
        substr $self->{buffer}, 0, length $1, '';
        $self->{state} = 'epilogue';
        return 1;
    }
    return 0 if length $head < 256 && $head =~ /\A(?:-|(?:--)?[ \t]*\r?)\z/;
    _error('Closing boundary does not terminate with CRLF') if $head =~ /\A--/;
    _error('Boundary does not terminate with CRLF or hyphens');
}

sub _header {
    my ($self, $events) = @_;
    my $at = index $self->{buffer}, "\r\n\r\n";
    if ($at < 0) {
        _error('Size of part header exceeds maximum allowed') if length $self->{buffer} > $MAX_HEADER;
        return 0;
    }
    _error('Size of part header exceeds maximum allowed') if $at > $MAX_HEADER;
    my $lines = substr $self->{buffer}, 0, $at + 2, '';
    push @$events, [ part => _part($lines) ];
    # the second line end stays too: a delimiter may follow it directly when the part has no content
    $self->{skip}  = 2;
    $self->{state} = 'part body';
    return 1;
}

sub _body {
    my ($self, $events) = @_;
    my $at = index $self->{buffer}, $self->{delimiter};
    my $found = $at >= 0;
    # without a delimiter everything is content but what could be the beginning of one
    $at = length($self->{buffer}) - length($self->{delimiter}) + 1 unless $found;

    if ($at > $self->{skip}) {
        my $data = substr $self->{buffer}, 0, $at, '';
        substr $data, 0, $self->{skip}, '' if $self->{skip};
        $self->{skip} = 0;
        push @$events, [ data => $data ];
        $at = 0;
    }
    return 0 unless $found;
    substr $self->{buffer}, 0, $at + length $self->{delimiter}, '';
    push @$events, ['end'];
    $self->{state} = 'boundary';
    return 1;
}

sub _epilogue {
    my ($self) = @_;
    _error('Nonempty epilogue') if $self->{buffer} =~ /[^\r\n]/;
    $self->{buffer} = '';
    return 0;
}

# What a part header says: headers (lower-cased names, last wins), name, filename, content_type, encoding; all bytes.
sub _part {
    my ($block) = @_;
    my @lines;
    for my $line (split /\r\n/, $block) {
        next unless length $line;
        if ($line =~ s/\A[ \t]+//) {
            _error('Continuation line seen before first header') unless @lines;
            $lines[-1] .= " $line" if length $line;
        }
        else {
            push @lines, $line;
        }
    }
    my %headers;
    for my $line (@lines) {
        $line =~ /\A([^\x00-\x1f\x7f:]+):[ \t]*(.*?)[ \t]*\z/s or _error('Malformed header line');
        $headers{ $1 =~ tr/A-Z/a-z/r } = $2;
    }
    my %param = _disposition($headers{'content-disposition'});
    my $type = $headers{'content-type'};
    return {
        headers      => \%headers,
        name         => $param{name},
        filename     => $param{filename},
        content_type => defined $type && length $type ? $type : 'text/plain',
        encoding     => $headers{'content-transfer-encoding'},
    };
}

# Browsers send backslashes in quoted names as they are, so only \" is an escape. filename* (RFC 8187) wins over filename.
sub _disposition {
    my ($value) = @_;
    return unless defined $value;
    my %param;
    while ($value =~ /;\s*([^\s=;]+)\s*=\s*(?:"((?:\\"|[^"])*)"|([^;]*))/g) {
        my ($name, $text) = (lc $1, defined $2 ? $2 : $3);
        if (defined $2) { $text =~ s/\\"/"/g }
        else            { $text =~ s/\s+\z// }
        $param{$name} = $text unless exists $param{$name};
    }
    if (defined $param{'filename*'} && $param{'filename*'} =~ /\A(utf-8|iso-8859-1)'[^']*'(.*)\z/is) {
        my ($charset, $text) = (lc $1, $2);
        $text =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ge;
        Encode::from_to($text, 'iso-8859-1', 'utf-8') if $charset eq 'iso-8859-1';
        $param{filename} = $text;
    }
    return %param;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Request::MultipartParser - incremental parser for multipart/form-data

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Request::MultipartParser;

    my $parser = PAGI::Request::MultipartParser->new('xyz');
    my @events = $parser->feed(
        qq{--xyz\r\nContent-Disposition: form-data; name="a"\r\n\r\nhello\r\n--xyz--\r\n}
    );
    $parser->finish;

    print $events[0][1]{name}, '=', $events[1][1], "\n";    # a=hello

=head1 DESCRIPTION

The syntax of RFC 2046 5.1 and RFC 7578, used by L<PAGI::Request::MultiPartHandler> and L<PAGI::Request::MultipartStream>. It
keeps at most one delimiter of content between two calls; a preamble and a part header may have 32 KiB each.

A part header followed directly by a delimiter is a part without content, blanks after a delimiter are ignored, and the line end
after the closing delimiter may be missing. After it nothing but line ends may come.

=head1 METHODS

=head2 new

    my $parser = PAGI::Request::MultipartParser->new($boundary);

Dies with C<Invalid multipart boundary> unless it has 1 to 200 printable ASCII characters.

=head2 feed

    my @events = $parser->feed($bytes);

What these bytes complete, in order: C<< [ part => \%part ] >> with the keys C<headers> (hashref, lower-cased names), C<name>,
C<filename>, C<content_type> (default C<text/plain>) and C<encoding>, all bytes or undef; C<< [ data => $bytes ] >>, any number;
C<< ['end'] >>. Dies with C<Multipart parse error: DETAIL>.

=head2 finish

Says that nothing more comes. Dies with C<Multipart parse error: End of stream encountered while parsing PLACE> unless the closing
delimiter was seen.

=head2 is_complete

1 once the closing delimiter with its line end was seen.

=head2 is_empty

1 while not a single byte came.

=cut
