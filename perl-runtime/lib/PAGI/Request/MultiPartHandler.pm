package PAGI::Request::MultiPartHandler;

use strict;
use warnings;

use File::Temp ();
use Future::AsyncAwait;
use Hash::MultiValue;
use PAGI::Request::MultipartParser;
use PAGI::Request::Upload;

our $MAX_FIELD_SIZE  = 1024 * 1024;
our $MAX_FILE_SIZE   = 10 * 1024 * 1024;
our $SPOOL_THRESHOLD = 64 * 1024;
our $MAX_FILES       = 20;
our $MAX_FIELDS      = 1000;

sub new {
    my ($class, %args) = @_;
    for my $required (qw(boundary receive)) {
        die "$required parameter is required\n" unless defined $args{$required} && length $args{$required};
    }
    my %default = (
        max_field_size  => $MAX_FIELD_SIZE,
        max_file_size   => $MAX_FILE_SIZE,
        spool_threshold => $SPOOL_THRESHOLD,
        max_files       => $MAX_FILES,
        max_fields      => $MAX_FIELDS,
        temp_dir        => $ENV{TMPDIR} || '/tmp',
    );
    my $self = bless { boundary => $args{boundary}, receive => $args{receive} }, $class;
    for my $option (keys %default) {
        $self->{$option} = defined $args{$option} ? $args{$option} : $default{$option};
    }
    return $self;
}

async sub parse {
    my ($self) = @_;
    my $parser = PAGI::Request::MultipartParser->new($self->{boundary});
    # Uploads own their temp files, so whatever ends this sub early, cancellation included, removes them.
    my %state = (fields => [], files => [], part => undef);

    my $more = 1;
    while ($more) {
        my $event = await $self->{receive}->();
        my $type = ref $event eq 'HASH' ? $event->{type} : undef;
        last if !defined $type || $type =~ /\.disconnect\z/;
        $more = $event->{more};
        next unless defined $event->{body};
        for my $found ($parser->feed($event->{body})) {
            if    ($found->[0] eq 'data') { $self->_data(\%state, $found->[1]) }
            elsif ($found->[0] eq 'part') { $self->_begin(\%state, $found->[1]) }
            else                          { $self->_end(\%state) }
        }
    }
    $parser->finish unless $parser->is_empty;
    return (Hash::MultiValue->new(@{ $state{fields} }), Hash::MultiValue->new(@{ $state{files} }));
}

sub _begin {
    my ($self, $state, $part) = @_;
    die "Multipart parse error: Part has no name\n" unless defined $part->{name};

    my $is_file = defined $part->{filename};
    if ($is_file) {
        die "Too many files (max $self->{max_files})\n" if @{ $state->{files} } / 2 >= $self->{max_files};
    }
    else {
        die "Too many fields (max $self->{max_fields})\n" if @{ $state->{fields} } / 2 >= $self->{max_fields};
    }
    $state->{part} = { %$part, is_file => $is_file, data => '', size => 0 };
    return;
}

sub _data {
    my ($self, $state, $bytes) = @_;
    my $part = $state->{part};
    $part->{size} += length $bytes;

    if (!$part->{is_file}) {
        die "Form field too large (max $self->{max_field_size} bytes)\n" if $part->{size} > $self->{max_field_size};
        $part->{data} .= $bytes;
        return;
    }
    die "File upload too large (max $self->{max_file_size} bytes)\n" if $part->{size} > $self->{max_file_size};
    if (!$part->{fh}) {
        $part->{data} .= $bytes;
        $self->_spool($part) if $part->{size} > $self->{spool_threshold};
        return;
    }
    print { $part->{fh} } $bytes or die "Failed to write to temp file: $!\n";
    return;
}

sub _spool {
    my ($self, $part) = @_;
    my ($fh, $path) = eval {
        File::Temp::tempfile('pagi-upload-XXXXXXXX', DIR => $self->{temp_dir}, UNLINK => 0);
    };
    die "Failed to create a temp file in $self->{temp_dir}: " . ($@ || $!) . "\n" unless $fh;
    binmode $fh;
    $part->{fh} = $fh;
    $part->{upload} = PAGI::Request::Upload->new(%$part{qw(filename content_type)},
        field_name => $part->{name}, temp_path => $path, size => 0);
    print {$fh} delete $part->{data} or die "Failed to write to temp file: $!\n";
    return;
}

sub _end {
    my ($self, $state) = @_;
    my $part = delete $state->{part};
    if (!$part->{is_file}) {
        push @{ $state->{fields} }, $part->{name}, $part->{data};
        return;
    }
    my $upload = $part->{upload};
    if ($upload) {
        close $part->{fh} or die "Failed to write to temp file: $!\n";
        $upload->{size} = $part->{size};
    }
    else {
        $upload = PAGI::Request::Upload->new(%$part{qw(filename content_type data size)}, field_name => $part->{name});
    }
    push @{ $state->{files} }, $part->{name}, $upload;
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Request::MultiPartHandler - read a whole multipart form

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future;
    use PAGI::Request::MultiPartHandler;

    my $body = join "\r\n",
        '--xyz', 'Content-Disposition: form-data; name="note"', '', 'hello',
        '--xyz', 'Content-Disposition: form-data; name="doc"; filename="a.txt"', '', 'content',
        '--xyz--', '';
    my $receive = sub { Future->done({ type => 'http.request', body => $body, more => 0 }) };

    my $handler = PAGI::Request::MultiPartHandler->new(boundary => 'xyz', receive => $receive);
    my ($form, $uploads) = $handler->parse->get;

    print $form->get('note'), ' ', $uploads->get('doc')->size, "\n";    # hello 7

=head1 DESCRIPTION

What C<form_params> and C<uploads> of L<PAGI::Request> use. Fields are kept in memory; files too, until they pass the spool
threshold and move to a temporary file (mode 0600) that belongs to its L<PAGI::Request::Upload>. Memory is bounded by C<max_fields>
times C<max_field_size> plus C<max_files> times C<spool_threshold>, however large the body. Use L<PAGI::Request::MultipartStream>
to decide about each part before it is stored.

=head1 METHODS

=head2 new

    my $handler = PAGI::Request::MultiPartHandler->new(boundary => $boundary, receive => $receive, %limits);

Dies with C<boundary parameter is required> or C<receive parameter is required>. The defaults of the limits are package variables,
read at construction:

=over 4

=item max_field_size

Bytes of one field, C<$MAX_FIELD_SIZE>, 1 MiB.

=item max_file_size

Bytes of one file, C<$MAX_FILE_SIZE>, 10 MiB.

=item spool_threshold

Bytes above which a file goes to disk, C<$SPOOL_THRESHOLD>, 64 KiB.

=item max_files, max_fields

Number of files and fields, C<$MAX_FILES> 20 and C<$MAX_FIELDS> 1000.

=item temp_dir

Directory of the temporary files, C<$ENV{TMPDIR}> or F</tmp>.

=back

=head2 parse

    my ($form, $uploads) = await $handler->parse;

Returns a L<Future> of two L<Hash::MultiValue>, of values and of L<PAGI::Request::Upload>. Names, values and file names are B<bytes>
here. A part is a file if its Content-Disposition has a C<filename>, even an empty one, or C<filename*>.

The Future fails with one of these, and no temporary file is left behind; nor is one when it is cancelled:

    File upload too large (max N bytes)
    Form field too large (max N bytes)
    Too many files (max N)
    Too many fields (max N)
    Failed to create a temp file in DIR: REASON
    Failed to write to temp file: REASON
    Invalid multipart boundary
    Multipart parse error: DETAIL

An incomplete body, also because the client left, is a parse error C<End of stream encountered while parsing PLACE>. A body without a
single byte is an empty form.

=head1 SEE ALSO

L<PAGI::Request>, L<PAGI::Request::Upload>

=cut
