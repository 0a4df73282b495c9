package PAGI::Simple::MultipartParser;

use strict;
use warnings;

use Carp qw(croak);
use Future;
use PAGI::Request;
use PAGI::Simple::Upload;

sub new {
    my ($class, %options) = @_;
    return bless {
        max_file_size    => 10 * 1024 * 1024,
        max_total_size   => 50 * 1024 * 1024,
        memory_threshold => 64 * 1024,
        temp_dir         => undef,
        %options,
    }, $class;
}

sub parse {
    my ($self, $content_type, $body) = @_;
    croak "The form is too large (max $self->{max_total_size} bytes)" if length $body > $self->{max_total_size};
    my $receive = sub { Future->done({ type => 'http.request', body => $body, more => 0 }) };
    my $request = PAGI::Request->new({ headers => [ [ 'content-type', $content_type ] ] }, $receive);
    my %limits = (
        max_file_size   => $self->{max_file_size},
        spool_threshold => $self->{memory_threshold},
        (defined $self->{temp_dir} ? (temp_dir => $self->{temp_dir}) : ()),
    );
    my %result = (fields => {}, uploads => {});
    my $form = $request->form_params(%limits)->get;
    for my $name ($form->keys) {
        my @values = $form->get_all($name);
        $result{fields}{$name} = @values > 1 ? \@values : $values[0];
    }
    my @uploads = $request->uploads->get->flatten;
    while (my ($name, $upload) = splice @uploads, 0, 2) {
        push @{ $result{uploads}{$name} }, PAGI::Simple::Upload->from($upload);
    }
    return \%result;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::MultipartParser - parses a multipart form in memory

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple::MultipartParser;

    my $body = join "\r\n", '--xyz', 'Content-Disposition: form-data; name="note"', '', 'hello', '--xyz--', '';
    my $form = PAGI::Simple::MultipartParser->new->parse('multipart/form-data; boundary=xyz', $body);
    print $form->{fields}{note}, "\n";    # hello

=head1 METHODS

=head2 new

Options: C<max_file_size> (bytes, 10 MiB), C<max_total_size> (50 MiB), C<memory_threshold> (64 KiB), C<temp_dir>.

=head2 parse

    my $form = $parser->parse($content_type, $bytes);

A hashref: C<fields>, by name a string, or an arrayref of repeated ones (characters); C<uploads>, by name an arrayref of L<PAGI::Simple::Upload>. Dies
without a boundary, with a broken body and above a limit.

=cut
