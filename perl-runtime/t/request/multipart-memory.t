use strict;
use warnings;
use Test2::V0;
use File::Temp;
use Future;
use PAGI::Request;

# A 1 GiB upload is generated on the fly; memory is measured by the kernel. Each way runs in a child of its own, so that what
# one has allocated cannot hide what the other needs.

my $CHUNK = 'x' x 65_536;
my $COUNT = 16_384;
my $SIZE  = length($CHUNK) * $COUNT;
my $BOUND = 32 * 1024;    # KiB above the level before the upload

sub peak_kib { open my $fh, '<', '/proc/self/status' or die $!; local $/; return <$fh> =~ /^VmHWM:\s+(\d+)/m ? $1 : die 'no VmHWM' }

sub request {
    my $sent = 0;
    my $receive = sub {
        my $body = !$sent            ? qq{--xyz\r\nContent-Disposition: form-data; name="big"; filename="big.bin"\r\n\r\n}
                 : $sent <= $COUNT   ? $CHUNK
                 :                     "\r\n--xyz--\r\n";
        return Future->done({ type => 'http.request', body => $body, more => $sent++ <= $COUNT ? 1 : 0 });
    };
    my @headers = ([ 'content-type', 'multipart/form-data; boundary=xyz' ]);
    return PAGI::Request->new({ type => 'http', method => 'POST', path => '/', headers => \@headers }, $receive);
}

# Runs in a child, reports "SIZE GROWTH" over a pipe.
sub measure {
    my ($code) = @_;
    my $pid = open(my $pipe, '-|') // die "fork: $!";
    if (!$pid) {
        my $before = peak_kib();
        my $size = eval { $code->() } // "error: $@";
        print "$size ", peak_kib() - $before, "\n";
        close STDOUT;
        require POSIX;
        POSIX::_exit(0);
    }
    my ($size, $growth) = split ' ', <$pipe>;
    close $pipe;
    return ($size, $growth);
}

subtest streamed => sub {
    my ($size, $growth) = measure(sub {
        my $stream = request()->multipart_stream(max_file_size => $SIZE, max_request_body => 2 * $SIZE);
        my $part = $stream->next->get;
        return $part->stream_to(sub { })->get;
    });
    is $size, $SIZE, '1 GiB came through';
    cmp_ok $growth, '<', $BOUND, 'memory is bounded';
    note "grew by $growth KiB";
};

subtest 'buffered, spooled to disk' => sub {
    my $directory = File::Temp->newdir;
    my ($size, $growth) = measure(sub {
        my $upload = request()->upload('big', max_file_size => $SIZE, temp_dir => $directory)->get;
        my $on_disk = -s $upload->temp_path;
        $upload->discard;
        return $on_disk;
    });
    is $size, $SIZE, '1 GiB is on disk';
    cmp_ok $growth, '<', $BOUND, 'memory is bounded';
    note "grew by $growth KiB";
};

done_testing;
