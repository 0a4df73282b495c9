package PAGI::Request::MultipartStream;

use strict;
use warnings;

use Carp qw(croak);
use Future;
use Future::AsyncAwait;
use PAGI::Request::MultipartParser;
use PAGI::Request::Part;
use PAGI::Request::Query;

our @CARP_NOT = qw(PAGI::Request PAGI::Request::Part);

our $MAX_FILES        = 1000;
our $MAX_FIELDS       = 1000;
our $MAX_FIELD_SIZE   = 1024 * 1024;
our $MAX_FILE_SIZE    = 100 * 1024 * 1024;
our $MAX_REQUEST_BODY = 1024 * 1024 * 1024;

my $INCOMPLETE = 'Incomplete multipart upload: client disconnected or stream ended before the closing boundary';

sub new {
    my ($class, %args) = @_;
    for my $required (qw(receive boundary)) {
        croak "$required is required" unless defined $args{$required} && length $args{$required};
    }
    my %limit = (
        max_files        => $MAX_FILES,
        max_fields       => $MAX_FIELDS,
        max_field_size   => $MAX_FIELD_SIZE,
        max_file_size    => $MAX_FILE_SIZE,
        max_request_body => $MAX_REQUEST_BODY,
    );
    my @unknown = grep { !exists $limit{$_} && $_ ne 'receive' && $_ ne 'boundary' } sort keys %args;
    croak 'Unknown options to multipart_stream: ' . join(', ', @unknown) if @unknown;

    my $self = bless { receive => $args{receive}, parser => _parser($args{boundary}) }, $class;
    $self->{$_} = defined $args{$_} ? $args{$_} : $limit{$_} for keys %limit;
    @$self{qw(queue files fields total serial reading done error)} = ([], 0, 0, 0, 0, 0, 0, undef);
    return $self;
}

sub _parser {
    my ($boundary) = @_;
    my $parser = eval { PAGI::Request::MultipartParser->new($boundary) } or croak $@ =~ s/\n\z//r;
    return $parser;
}

async sub next {
    my ($self) = @_;
    while (1) {
        croak $self->{error} if defined $self->{error};
        if (my $event = shift @{ $self->{queue} }) {
            if ($event->[0] eq 'part') {
                $self->{reading} = 1;
                return PAGI::Request::Part->new($self, ++$self->{serial}, $event->[1]);
            }
            # what is left of a part the application did not finish
            $self->{reading} = 0 if $event->[0] eq 'end';
            next;
        }
        return undef if $self->{done};
        await $self->_fill;
    }
}

# Next bytes of the part with that number, undef when the stream is past it.
async sub _chunk {
    my ($self, $serial) = @_;
    while (1) {
        croak $self->{error} if defined $self->{error};
        return undef unless $self->{reading} && $serial == $self->{serial};
        if (my $event = shift @{ $self->{queue} }) {
            return $event->[1] if $event->[0] eq 'data';
            $self->{reading} = 0;
            return undef;
        }
        await $self->_fill;
    }
}

# The first failure stays; parts that were already parsed are not handed out any more.
sub _fail {
    my ($self, $message) = @_;
    $message =~ s/\n\z//;
    $self->{error} = $message unless defined $self->{error};
    $self->{queue} = [];
    return;
}

async sub _fill {
    my ($self) = @_;
    my $event;
    if (!eval { $event = await $self->{receive}->(); 1 }) {
        return $self->_fail("$@");
    }
    my $type = ref $event eq 'HASH' ? $event->{type} : undef;
    my $body = '';
    my $more = 0;
    if (defined $type && $type !~ /\.disconnect\z/) {
        $body = $event->{body} if defined $event->{body};
        $more = $event->{more};
    }

    $self->{total} += length $body;
    return $self->_fail("Request body exceeded max_request_body ($self->{max_request_body} bytes)")
        if $self->{total} > $self->{max_request_body};

    my $parser = $self->{parser};
    eval {
        for my $found ($parser->feed($body)) {
            $self->_check($found);
            push @{ $self->{queue} }, $found;
        }
        1;
    } or return $self->_fail($@);

    if (!$more) {
        $self->{done} = 1;
        $parser->is_empty || eval { $parser->finish; 1 } or $self->_fail($INCOMPLETE);
    }
    # after the closing delimiter only line ends may follow; reading on would notice what is not
    return;
}

# Limits count here, before any sink sees the bytes.
sub _check {
    my ($self, $found) = @_;
    if ($found->[0] eq 'part') {
        my $part = $self->{parsing} = $found->[1];
        $self->{parsed_size} = 0;
        my $kind = defined $part->{filename} ? 'file' : 'field';
        die "Too many $kind parts (max $self->{\"max_${kind}s\"})\n" if ++$self->{"${kind}s"} > $self->{"max_${kind}s"};
    }
    elsif ($found->[0] eq 'data') {
        my $part = $self->{parsing};
        my $kind = defined $part->{filename} ? 'file' : 'field';
        my $limit = $self->{"max_${kind}_size"};
        $self->{parsed_size} += length $found->[1];
        return if $self->{parsed_size} <= $limit;
        my $name = defined $part->{name} ? PAGI::Request::Query::decode($part->{name}, '') : '';
        die ucfirst($kind) . " part '$name' too large (max $limit bytes)\n";
    }
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Request::MultipartStream - read a multipart body part by part

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future;
    use PAGI::Request::MultipartStream;

    my @chunks = (
        qq{--xyz\r\nContent-Disposition: form-data; name="doc"; filename="a.txt"\r\n\r\nfirst },
        qq{second\r\n--xyz--\r\n},
    );
    my $receive = sub {
        my $chunk = shift @chunks;
        return Future->done({ type => 'http.request', body => $chunk, more => @chunks ? 1 : 0 });
    };

    my $stream = PAGI::Request::MultipartStream->new(receive => $receive, boundary => 'xyz');
    while (my $part = $stream->next->get) {
        print $part->filename, ': ', $part->value->get, "\n";    # a.txt: first second
    }

=head1 DESCRIPTION

For uploads of any size: nothing is stored, the application reads each part or streams it to where it belongs. At most one
network event is held. Objects normally come from C<multipart_stream> in L<PAGI::Request>.

=head1 METHODS

=head2 new

    my $stream = PAGI::Request::MultipartStream->new(receive => $receive, boundary => $boundary, %limits);

Dies with C<receive is required>, C<boundary is required>, C<Invalid multipart boundary> or C<Unknown options to multipart_stream:
NAME>. The defaults of the limits are package variables, read at construction:

=over 4

=item max_files, max_fields

Number of file and field parts, C<$MAX_FILES> and C<$MAX_FIELDS>, 1000 each.

=item max_field_size, max_file_size

Bytes of one part, C<$MAX_FIELD_SIZE> 1 MiB and C<$MAX_FILE_SIZE> 100 MiB.

=item max_request_body

Bytes of the whole body as counted on arrival, C<$MAX_REQUEST_BODY>, 1 GiB.

=back

=head2 next

    while (my $part = await $stream->next) { ... }

Returns a L<Future> of the next L<PAGI::Request::Part>, or of undef at the end. What is left of the part before is skipped. An
entirely empty body has no part.

Fails with one of the following; so does every later call, and reading from the part at hand. Limits count as bytes arrive, before
any sink sees them, and a failure comes before parts that arrived together with it.

    Too many file parts (max N)
    Too many field parts (max N)
    File part 'NAME' too large (max N bytes)
    Field part 'NAME' too large (max N bytes)
    Request body exceeded max_request_body (N bytes)
    Incomplete multipart upload: client disconnected or stream ended before the closing boundary
    Multipart parse error: DETAIL
    sink error: TEXT

=head1 SEE ALSO

L<PAGI::Request::Part>, L<PAGI::Request::MultiPartHandler>

=cut
