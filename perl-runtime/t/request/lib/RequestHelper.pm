package RequestHelper;

use strict;
use warnings;

use Exporter 'import';
use Future;
use PAGI::Request;

our @EXPORT = qw(receive_chunks receive_events request_with multipart chunked temp_files);

# A receive coderef that yields these events, then http.disconnect for ever; $count (if given) counts the calls.
sub receive_events {
    my ($events, $count) = @_;
    my @queue = @$events;
    return sub {
        $$count++ if $count;
        return Future->done(@queue ? shift @queue : { type => 'http.disconnect' });
    };
}

# The chunks of a complete body.
sub receive_chunks {
    my @chunks = @_;
    my $last = pop @chunks;
    return receive_events([
        (map { { type => 'http.request', body => $_, more => 1 } } @chunks),
        { type => 'http.request', body => $last, more => 0 },
    ]);
}

sub request_with {
    my ($receive, @headers) = @_;
    my @pairs;
    push @pairs, [ splice @headers, 0, 2 ] while @headers;
    return PAGI::Request->new({ type => 'http', method => 'POST', path => '/', headers => \@pairs }, $receive);
}

# multipart body with boundary "xyz" from [ name, content, filename?, type? ]
sub multipart {
    my $body = '';
    for my $part (@_) {
        my ($name, $content, $filename, $type) = @$part;
        $body .= qq{--xyz\r\nContent-Disposition: form-data; name="$name"};
        $body .= qq{; filename="$filename"} if defined $filename;
        $body .= "\r\n";
        $body .= "Content-Type: $type\r\n" if defined $type;
        $body .= "\r\n$content\r\n";
    }
    return "$body--xyz--\r\n";
}

sub chunked {
    my ($body, $size) = @_;
    return unpack "(a$size)*", $body;
}

sub temp_files {
    my ($directory) = @_;
    opendir my $handle, $directory or die "Cannot read $directory: $!";
    return grep { !/\A\.\.?\z/ } readdir $handle;
}

1;
