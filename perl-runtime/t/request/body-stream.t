use strict;
use warnings;
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/lib";
use Encode ();
use File::Temp;
use Future;
use PAGI::Request::BodyStream;
use RequestHelper;

sub stream { my ($receive, %options) = @_; return PAGI::Request::BodyStream->new(receive => $receive, %options) }

sub drain {
    my ($stream) = @_;
    my @chunks;
    while (defined(my $chunk = $stream->next_chunk->get)) { push @chunks, $chunk }
    return \@chunks;
}

subtest chunks => sub {
    my $stream = stream(receive_chunks('ab', '', 'cd'));
    is $stream->is_done, 0, 'not done';
    is [ map { $stream->next_chunk->get } 1 .. 4 ], [ 'ab', '', 'cd', undef ], 'in order, empty ones too, then undef';
    is [ $stream->bytes_read, $stream->is_done, $stream->error ], [ 4, 1, undef ], 'state';

    is drain(stream(receive_events([ { type => 'http.request', body => 'x', more => 1 } ]))), ['x'], 'a disconnect ends it';
    like dies { PAGI::Request::BodyStream->new }, qr/^receive is required at \Q$0\E/, 'receive is required';
    is scalar stream(sub { Future->fail("lost\n") })->next_chunk->failure, "lost\n", 'receive failed';
};

subtest limits => sub {
    my $stream = stream(receive_chunks('abc', 'def', 'g'), max_bytes => 5);
    is $stream->next_chunk->get, 'abc', 'below';
    like scalar $stream->next_chunk->failure, qr/^Request body max_bytes exceeded/, 'above';
    is [ $stream->bytes_read, $stream->is_done ], [ 3, 1 ], 'not counted, done';
    like $stream->error, qr/^Request body max_bytes exceeded/, 'kept';
    is $stream->next_chunk->get, undef, 'nothing more';
    is drain(stream(receive_chunks('abc'), max_bytes => 3)), ['abc'], 'exactly at the limit';
    like scalar stream(receive_chunks('abc'), max_bytes => 1, limit_name => 'quota')->next_chunk->failure,
        qr/^Request body quota exceeded/, 'named';

    my $request = request_with(receive_chunks('abc'), 'content-length' => 2);
    like scalar $request->body_stream->next_chunk->failure, qr/^Request body content-length exceeded/, 'Content-Length';
    $request = request_with(receive_chunks('abc'), 'content-length' => 2);
    is $request->body_stream(max_bytes => 3)->next_chunk->get, 'abc', 'max_bytes comes first';
    like dies { request_with(receive_chunks('abc'))->body_stream(max_byte => 3) },
        qr/^Unknown options to body_stream: max_byte at \Q$0\E/, 'a misspelt limit is no silent one';
    $request = request_with(receive_chunks('abc'), 'content-length' => 'junk');
    is $request->body_stream->next_chunk->get, 'abc', 'a Content-Length that is no number is no limit';
};

subtest decoding => sub {
    my $text = "a\x{e9}\x{3042}\x{1f389}b";
    for my $strict (0, 1) {
        my $utf8 = Encode::encode('UTF-8', $text);
        for my $size (1 .. length $utf8) {
            my $chunks = drain(stream(receive_chunks(chunked($utf8, $size)), decode => 'UTF-8', strict => $strict));
            is join('', @$chunks), $text, "strict $strict, chunks of $size";
        }
        my $utf16 = Encode::encode('UTF-16LE', $text);
        my $chunks = drain(stream(receive_chunks(chunked($utf16, 3)), decode => 'UTF-16LE', strict => $strict));
        is join('', @$chunks), $text, "UTF-16, strict $strict";
    }
    is drain(stream(receive_chunks("\xe9", "\xff"), decode => 'iso-8859-1')), [ "\x{e9}", "\x{ff}" ], 'Latin-1';

    like dies { stream(receive_chunks(''), decode => 'UTF-16') },
        qr/^Encoding 'UTF-16' depends on a byte order mark: name UTF-16LE or UTF-16BE instead at \Q$0\E/, 'no byte order';

    is drain(stream(receive_chunks("a\xffb", 'c'), decode => 'UTF-8')), [ "a\x{fffd}b", 'c' ],
        'lenient: an invalid byte holds nothing back';
    is drain(stream(receive_chunks('a', "b\xe2\x82"), decode => 'UTF-8')), [ 'a', "b\x{fffd}" ], 'flushed on the last chunk';
    is drain(stream(receive_events([ { type => 'http.request', body => "a\xe2\x82", more => 1 } ]), decode => 'UTF-8')),
        [ 'a', "\x{fffd}" ], 'flushed on disconnect';

    my $stream = stream(receive_chunks("a\xff", 'b'), decode => 'UTF-8', strict => 1);
    like scalar $stream->next_chunk->failure, qr/^Failed to decode chunk: .*does not map to Unicode/, 'strict';
    is [ $stream->is_done, $stream->next_chunk->get ], [ 1, undef ], 'done';
    like $stream->error, qr/^Failed to decode chunk/, 'kept';
    $stream = stream(receive_chunks("a\xe2", "x"), decode => 'UTF-8', strict => 1);
    is $stream->next_chunk->get, 'a', 'incomplete so far';
    like scalar $stream->next_chunk->failure, qr/^Failed to decode chunk/, 'invalid now';
};

subtest stream_to => sub {
    my @seen;
    is stream(receive_chunks('ab', '', 'cde'))->stream_to(sub { push @seen, $_[0]; return {} })->get, 5,
        'total; a sink may return anything';
    is \@seen, [ 'ab', 'cde' ], 'empty chunks are left out';

    my $calls = 0;
    my $receive = receive_chunks('a', 'b');
    my $gate = Future->new;
    my $counting = sub { $calls++; $receive->() };
    my $total = stream($counting)->stream_to(sub { $_[0] eq 'a' ? $gate : Future->done });
    is [ $calls, !!$total->is_ready ], [ 1, F ], 'a pending sink holds back reading';
    $gate->done;
    is [ $total->get, $calls ], [ 2, 2 ], 'then it goes on';

    is scalar stream(receive_chunks('a'))->stream_to(sub { die "no\n" })->failure, "no\n", 'a dying sink';
    like scalar stream(receive_chunks('a'))->stream_to->failure, qr/^callback is required/, 'callback is required';
};

subtest stream_to_file => sub {
    my $directory = File::Temp->newdir;
    my $path = "$directory/body";
    open my $fh, '>', $path or die $!;
    print {$fh} 'something longer';
    close $fh;
    is stream(receive_chunks("\xff\r\n", 'x'))->stream_to_file($path)->get, 4, 'bytes';
    open $fh, '<:raw', $path or die $!;
    is do { local $/; <$fh> }, "\xff\r\nx", 'truncated and raw';
    is stream(receive_chunks(''))->stream_to_file("$directory/none")->get, 0, 'nothing';
    ok !-e "$directory/none", 'no file without content';

    like scalar stream(receive_chunks('a'))->stream_to_file->failure, qr/^path is required/, 'path is required';
    like scalar stream(receive_chunks('a'))->stream_to_file("$directory/no/such")->failure,
        qr{^Cannot open \Q$directory\E/no/such for writing: }, 'cannot open';
    like scalar stream(receive_chunks('a'))->stream_to_file('/dev/full')->failure,
        qr{^Cannot (?:write to|close) /dev/full: }, 'disk full';
    like scalar stream(receive_chunks('a'), decode => 'UTF-8')->stream_to_file($path)->failure,
        qr/^stream_to_file\(\) cannot be used with decode option - use stream_to\(\) instead/, 'not with decode';
};

done_testing;
