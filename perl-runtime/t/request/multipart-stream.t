use strict;
use warnings;
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp;
use Future;
use PAGI::Request::MultipartStream;
use RequestHelper;

my @type = ('Content-Type' => 'multipart/form-data; boundary=xyz');

sub stream {
    my ($receive, %options) = @_;
    return PAGI::Request::MultipartStream->new(boundary => 'xyz', receive => $receive, %options);
}

sub body_stream { my ($body, $size, %options) = @_; return stream(receive_chunks(chunked($body, $size)), %options) }

sub content { open my $fh, '<:raw', $_[0] or die "$_[0]: $!"; local $/; return scalar <$fh> }

subtest 'parts in order' => sub {
    my $body = multipart([ "n\xc3\xa9" => "v\xff" ], [ doc => 'x' x 100, "\xc3\xa9.txt", 'text/x' ], [ last => '' ]);
    for my $size (1, 7, length $body) {
        my $stream = body_stream($body, $size);
        my $part = $stream->next->get;
        isa_ok $part, 'PAGI::Request::Part';
        is [ map { $part->$_ } qw(name filename content_type encoding is_file type) ],
            [ "n\x{e9}", undef, 'text/plain', undef, 0, 'field' ], 'field';
        is $part->headers->{'content-disposition'}, qq{form-data; name="n\xc3\xa9"}, 'headers';
        is $part->value->get, "v\xff", 'bytes';
        is [ $part->value->get, $part->next_chunk->get ], [ '', undef ], 'read once';

        $part = $stream->next->get;
        is [ map { $part->$_ } qw(name filename content_type is_file type) ], [ 'doc', "\x{e9}.txt", 'text/x', 1, 'file' ], 'file';
        my $read = '';
        is $part->stream_to(sub { $read .= $_[0]; return {} })->get, 100, 'stream_to counts';
        is $read, 'x' x 100, 'and delivers';

        is $stream->next->get->name, 'last', 'empty part';
        is [ $stream->next->get, $stream->next->get ], [ undef, undef ], 'end';
    }
};

subtest 'unfinished parts' => sub {
    my $body = multipart([ a => 'x' x 50, 'a' ], [ b => 'y' x 50, 'b' ], [ c => 'z' ], [ d => 'w' ]);
    my $stream = body_stream($body, 20);
    my $first = $stream->next->get;
    is length $first->next_chunk->get > 0, T, 'some of it';
    my $second = $stream->next->get;
    is $second->name, 'b', 'the rest is drained';
    is $first->next_chunk->get, undef, 'the first is over';
    is $second->skip->get, undef, 'skip';
    is $stream->next->get->name, 'c', 'next';
    is $stream->next->get->value->get, 'w', 'last';
};

subtest 'sinks' => sub {
    my $body = multipart([ a => 'x' x 100, 'a' ], [ b => 'y' ]);
    my $part = body_stream($body, 30)->next->get;
    like scalar $part->stream_to->failure, qr/^callback is required/, 'callback is required';

    my (@chunks, $received);
    my $receive = receive_chunks(chunked($body, 60));
    my $stream = stream(sub { $received++; $receive->() });
    $part = $stream->next->get;
    my $gate = Future->new;
    my $before = $received;
    my $total = $part->stream_to(sub { push @chunks, $_[0]; @chunks == 1 ? $gate : () });
    is [ scalar(@chunks), $total->is_ready ? 1 : 0 ], [ 1, 0 ], 'a pending sink holds back';
    is $received <= $before + 1, T, 'the network too';
    $gate->done;
    is $total->get, 100, 'then it goes on';

    $stream = body_stream($body, 30);
    $part = $stream->next->get;
    is scalar $part->stream_to(sub { die "disk full\n" })->failure, "disk full\n", 'the error of a sink is passed on';
    like scalar $stream->next->failure, qr/^sink error: disk full at/, 'and the stream has failed';
    like scalar $stream->next->failure, qr/^sink error: disk full at/, 'for good';
    like scalar $part->value->failure, qr/^sink error: disk full/, 'the part too';
};

subtest stream_to_file => sub {
    my $directory = File::Temp->newdir;
    my $body = multipart([ a => "x\r\n" x 100, 'a' ], [ b => 'y', 'b' ], [ c => 'z', 'c' ]);
    my $stream = body_stream($body, 30);
    my $part = $stream->next->get;
    like scalar $part->stream_to_file->failure, qr/^path is required/, 'path is required';
    is $part->stream_to_file("$directory/a")->get, 300, 'bytes';
    is [ content("$directory/a"), (stat "$directory/a")[2] & 0777 ], [ "x\r\n" x 100, 0600 ], 'content and mode';

    $part = $stream->next->get;
    like scalar $part->stream_to_file("$directory/a")->failure, qr{^Cannot create \Q$directory\E/a: }, 'no overwriting';
    is content("$directory/a"), "x\r\n" x 100, 'untouched';
    symlink "$directory/elsewhere", "$directory/link" or die $!;
    like scalar $part->stream_to_file("$directory/link")->failure, qr{^Cannot create \Q$directory\E/link: }, 'no symbolic link';
    ok !-e "$directory/elsewhere", 'not followed';
    is $part->value->get, 'y', 'a file that could not be made does not end the stream';

    $stream = body_stream(multipart([ a => 'x' x 100, 'a' ]), 30, max_file_size => 50);
    $part = $stream->next->get;
    like scalar $part->stream_to_file("$directory/partial")->failure, qr/^File part 'a' too large/, 'over the limit';
    ok !-e "$directory/partial", 'the partial file is removed';

    $part = stream(receive_events([ map { { type => 'http.request', body => $_, more => 1 } } chunked(substr($body, 0, 200), 30) ]))->next->get;
    like scalar $part->stream_to_file("$directory/partial")->failure, qr/^Incomplete multipart upload/, 'client left';
    ok !-e "$directory/partial", 'the partial file is removed';

    my @events = (Future->done({ type => 'http.request', body => substr($body, 0, 200), more => 1 }), Future->new);
    my $future = stream(sub { shift @events })->next->get->stream_to_file("$directory/partial");
    ok -e "$directory/partial", 'half-way';
    $future->cancel;
    undef $future;
    ok !-e "$directory/partial", 'cancelled: the partial file is removed';
};

subtest limits => sub {
    my @cases = (
        [ { max_files => 1 },      [ [ a => 1, 'a' ], [ b => 1, 'b' ] ], 'Too many file parts (max 1)' ],
        [ { max_fields => 1 },     [ [ a => 1 ], [ b => 1 ] ],           'Too many field parts (max 1)' ],
        [ { max_file_size => 5 },  [ [ "\xc3\xa9" => '123456', 'a' ] ],  "File part '\x{e9}' too large (max 5 bytes)" ],
        [ { max_field_size => 5 }, [ [ a => '123456' ] ],                "Field part 'a' too large (max 5 bytes)" ],
        [ { max_request_body => 99 }, [ [ a => 'x' x 100 ] ],            'Request body exceeded max_request_body (99 bytes)' ],
    );
    for my $case (@cases) {
        my ($limits, $parts, $message) = @$case;
        my $body = multipart(@$parts);
        my $stream = body_stream($body, length $body, %$limits);
        like scalar $stream->next->failure, qr/^\Q$message\E at /, "$message: at once when it came with one event";
        like scalar $stream->next->failure, qr/^\Q$message\E at /, 'sticky';

        $stream = body_stream($body, 3, %$limits);
        my $failure;
        until ($failure) {
            my $next = $stream->next;
            $failure = $next->failure and last;
            my $part = $next->get or last;
            $failure = $part->value->failure;
        }
        like $failure, qr/^\Q$message\E at /, "$message: in small pieces";
    }
    my $ok = body_stream(multipart([ a => '12345', 'a' ], [ b => '12345' ]), 9, max_files => 1, max_fields => 1, max_file_size => 5, max_field_size => 5);
    is [ $ok->next->get->value->get, $ok->next->get->value->get, $ok->next->get ], [ '12345', '12345', undef ], 'exactly at the limits';

    local $PAGI::Request::MultipartStream::MAX_FIELDS = 0;
    like scalar body_stream(multipart([ a => 1 ]), 99)->next->failure, qr/^Too many field parts \(max 0\)/, 'defaults are package variables';
};

subtest errors => sub {
    my $incomplete = qr/^Incomplete multipart upload: client disconnected or stream ended before the closing boundary at /;
    my $body = multipart([ a => 'x' x 50 ]);
    my $cut = substr $body, 0, -9;

    my $stream = body_stream($cut, 1000);
    like scalar $stream->next->failure, $incomplete, 'truncated';
    $stream = stream(receive_events([ { type => 'http.request', body => $cut, more => 1 } ]));
    my $part = $stream->next->get;
    like scalar $part->value->failure, $incomplete, 'the client left inside a part';
    like scalar $stream->next->failure, $incomplete, 'sticky';

    $stream = stream(receive_events([ { type => 'http.request', body => $body, more => 1 } ]));
    is $stream->next->get->value->get, 'x' x 50, 'complete';
    is $stream->next->get, undef, 'a disconnect after the end is clean';
    is stream(receive_chunks(''))->next->get, undef, 'an empty body is clean';
    is stream(receive_events([]))->next->get, undef, 'as is no body at all';

    like scalar body_stream("--xyz\r\nrubbish\r\n\r\n", 99)->next->failure, qr/^Multipart parse error: Malformed header line at /, 'malformed';
    like scalar stream(sub { Future->fail("gone\n") })->next->failure, qr/^gone at /, 'receive failed';

    like dies { PAGI::Request::MultipartStream->new(boundary => 'x') }, qr/^receive is required at \Q$0\E/, 'receive';
    like dies { PAGI::Request::MultipartStream->new(receive => sub { }) }, qr/^boundary is required at \Q$0\E/, 'boundary';
    like dies { PAGI::Request::MultipartStream->new(receive => sub { }, boundary => '') }, qr/^boundary is required/, 'empty boundary';
    like dies { stream(sub { }, max_flies => 1) }, qr/^Unknown options to multipart_stream: max_flies at/, 'unknown limit';
};

subtest 'through the request' => sub {
    my $directory = File::Temp->newdir;
    local $ENV{TMPDIR} = "$directory";
    my $big = 'x' x 200_000;
    my $body = multipart([ a => $big, 'a' ]);
    my $request = request_with(receive_chunks(chunked($body, 60_000)), @type);
    my $stream = $request->multipart_stream(max_file_size => 300_000);
    is $stream->next->get->value->get eq $big, T, 'streamed';
    is [ temp_files($directory) ], [], 'without temp files';

    for my $method (qw(body form_params uploads)) {
        like scalar $request->$method->failure, qr/^Body streaming already started; buffered helpers unavailable/, "no $method afterwards";
    }
    my $taken = qr/^Body already consumed; multipart_stream\(\) not available at \Q$0\E/;
    like dies { $request->multipart_stream }, $taken, 'not twice';
    $request = request_with(receive_chunks($body), @type);
    $request->body->get;
    like dies { $request->multipart_stream }, $taken, 'not after body';
    $request = request_with(receive_chunks($body), @type);
    $request->body_stream;
    like dies { $request->multipart_stream }, $taken, 'not after body_stream';
    like dies { request_with(receive_chunks($body), 'Content-Type' => 'text/plain')->multipart_stream },
        qr/^multipart_stream\(\) requires a multipart\/form-data request at \Q$0\E/, 'multipart only';
    like dies { request_with(receive_chunks($body), 'Content-Type' => 'multipart/form-data')->multipart_stream },
        qr/^No boundary found in Content-Type at \Q$0\E/, 'boundary';
};

done_testing;
