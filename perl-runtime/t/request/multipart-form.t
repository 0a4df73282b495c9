use strict;
use warnings;
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/lib";
use File::Temp;
use Future;
use PAGI::Request::MultiPartHandler;
use RequestHelper;

my @type = ('Content-Type' => 'multipart/form-data; boundary=xyz');

# Every test here uses a directory of its own for temp files, so that what is left behind can be seen.
sub directory { File::Temp->newdir }

sub handler {
    my ($receive, %options) = @_;
    return PAGI::Request::MultiPartHandler->new(boundary => 'xyz', receive => $receive, %options);
}

subtest 'fields and files' => sub {
    my $body = multipart([ a => 1 ], [ a => 2 ], [ e => '' ], [ doc => "x\r\ny", 'a.txt', 'text/x' ], [ doc => 'z', 'b' ], [ none => '', '' ]);
    for my $size (30, length $body) {
        my ($form, $uploads) = handler(receive_chunks(chunked($body, $size)))->parse->get;
        isa_ok $form, 'Hash::MultiValue';
        is [ $form->flatten ], [ a => 1, a => 2, e => '' ], 'fields only';
        is [ map { [ $_->field_name, $_->filename, $_->content_type, $_->slurp ] } $uploads->values ],
            [ [ 'doc', 'a.txt', 'text/x', "x\r\ny" ], [ 'doc', 'b', 'text/plain', 'z' ], [ 'none', '', 'text/plain', '' ] ],
            'files, also one with an empty name';
    }
    my ($form, $uploads) = handler(receive_chunks(''))->parse->get;
    is [ $form->keys, $uploads->keys ], [], 'an empty body is an empty form';
    is dies { PAGI::Request::MultiPartHandler->new(receive => 1) },  "boundary parameter is required\n", 'boundary';
    is dies { PAGI::Request::MultiPartHandler->new(boundary => 1) }, "receive parameter is required\n", 'receive';
};

subtest spooling => sub {
    my $directory = directory();
    my $big = join '', map { chr($_ % 256) } 1 .. 65_537;
    my $body = multipart([ big => $big, 'big' ], [ small => substr($big, 0, 65_536), 'small' ], [ field => $big ]);
    my ($form, $uploads) = handler(receive_chunks(chunked($body, 1000)), temp_dir => $directory)->parse->get;
    my ($on_disk, $in_memory) = map { $uploads->get($_) } qw(big small);
    is [ $on_disk->is_on_disk, $on_disk->is_in_memory, $on_disk->size, $on_disk->slurp eq $big ], [ 1, 0, 65_537, T ], 'above the threshold';
    is [ $in_memory->is_on_disk, $in_memory->is_in_memory, $in_memory->size ], [ 0, 1, 65_536 ], 'at the threshold';
    is((stat $on_disk->temp_path)[2] & 0777, 0600, 'private');
    is $form->get('field') eq $big, T, 'a field above the threshold is complete';
    is scalar(temp_files($directory)), 1, 'and not spooled';
    undef $_ for $on_disk, $uploads;
    is scalar(temp_files($directory)), 0, 'the temp file goes with its upload';

    local $PAGI::Request::MultiPartHandler::SPOOL_THRESHOLD = 2;
    (undef, $uploads) = handler(receive_chunks(multipart([ f => 'abc', 'f' ])), temp_dir => $directory)->parse->get;
    is $uploads->get('f')->is_on_disk, 1, 'defaults are package variables';
};

subtest limits => sub {
    my @cases = (
        [ { max_file_size => 100 },  [ f => 'x' x 101, 'f' ], 'File upload too large (max 100 bytes)' ],
        [ { max_field_size => 100 }, [ f => 'x' x 101 ],      'Form field too large (max 100 bytes)' ],
        [ { max_files => 1 },        [ f => 'x', 'f' ],       'Too many files (max 1)' ],
        [ { max_fields => 1 },       [ f => 'x' ],            'Too many fields (max 1)' ],
    );
    for my $case (@cases) {
        my ($limits, $part, $message) = @$case;
        for my $size (10, 10_000) {
            my $directory = directory();
            my $body = multipart([ ok => 'y' x 50, 'spooled before' ], [ ok => 1 ], $part);
            my $future = handler(receive_chunks(chunked($body, $size)), temp_dir => $directory, spool_threshold => 10, %$limits)->parse;
            is scalar $future->failure, "$message\n", "$message, pieces of $size";
            undef $future;
            is [ temp_files($directory) ], [], 'no temp file is left';
        }
    }
    for my $ok ([ max_file_size => [ f => 'x' x 100, 'f' ] ], [ max_field_size => [ f => 'x' x 100 ] ]) {
        my ($limit, $part) = @$ok;
        ok !handler(receive_chunks(multipart($part)), $limit => 100)->parse->failure, "exactly $limit";
    }
    my $file = 'x' x (1024 * 1024 + 1);
    my ($form, $uploads) = handler(receive_chunks(multipart([ f => $file, 'f' ])))->parse->get;
    is $uploads->get('f')->size, length $file, 'a file may be larger than a field';
    is scalar handler(receive_chunks(multipart([ f => $file ])))->parse->failure,
        "Form field too large (max 1048576 bytes)\n", 'default for fields';
    is scalar handler(receive_chunks(multipart([ f => $file x 10, 'f' ])))->parse->failure,
        "File upload too large (max 10485760 bytes)\n", 'default for files';
    is scalar handler(receive_chunks(multipart(map { [ f => '', 'f' ] } 1 .. 21)))->parse->failure, "Too many files (max 20)\n", 'files';
    is scalar handler(receive_chunks(multipart(map { [ f => '' ] } 1 .. 1001)))->parse->failure, "Too many fields (max 1000)\n", 'fields';
};

subtest 'broken bodies leave nothing behind' => sub {
    my $complete = multipart([ ok => 'y' x 50, 'a' ], [ more => 'z' x 50, 'b' ]);
    my $truncated = substr $complete, 0, -40;
    my %case = (
        'truncated'              => [ receive_chunks(chunked($truncated, 20)), qr/^Multipart parse error: End of stream encountered while parsing part body$/ ],
        'the client left'        => [ receive_events([ map { { type => 'http.request', body => $_, more => 1 } } chunked($truncated, 20) ]),
                                      qr/^Multipart parse error: End of stream encountered while parsing part body$/ ],
        'malformed'              => [ receive_chunks($complete =~ s/\r\n--xyz--/\r\n--xyz\r\nrubbish\r\n\r\n/r), qr/^Multipart parse error: Malformed header line$/ ],
        'a part without a name'  => [ receive_chunks($complete =~ s/name="more"/x="more"/r), qr/^Multipart parse error: Part has no name$/ ],
        'receive fails'          => [ do { my @f = (Future->done({ type => 'http.request', body => $truncated, more => 1 }), Future->fail("gone\n")); sub { shift @f } },
                                      qr/^gone$/ ],
    );
    for my $name (sort keys %case) {
        my ($receive, $message) = @{ $case{$name} };
        my $directory = directory();
        my $future = handler($receive, temp_dir => $directory, spool_threshold => 10)->parse;
        like scalar $future->failure, $message, $name;
        undef $future;
        is [ temp_files($directory) ], [], "$name: no temp file is left";
    }

    my $directory = directory();
    my @events = (Future->done({ type => 'http.request', body => $truncated, more => 1 }), Future->new);
    my $future = handler(sub { shift @events }, temp_dir => $directory, spool_threshold => 10)->parse;
    is scalar(temp_files($directory)), 2, 'in the middle there are temp files';
    $future->cancel;
    undef $future;
    is [ temp_files($directory) ], [], 'a cancelled parse leaves none';

    like scalar handler(receive_chunks($complete), temp_dir => "$directory/missing", spool_threshold => 10)->parse->failure,
        qr{^Failed to create a temp file in \Q$directory\E/missing: }, 'no such directory';
};

subtest 'through the request' => sub {
    my $directory = directory();
    my $body = multipart(
        [ a => 1 ], [ a => 2 ], [ "n\xc3\xa9" => "v\xc3\xa9" ], [ bad => "\xff" ],
        [ "d\xc3\xa9" => 'one', "f\xc3\xa9.txt" ], [ "d\xc3\xa9" => 'two' x 10, 'g.txt' ],
    );
    my $request = request_with(receive_chunks(chunked($body, 50)), @type);
    my $form = $request->form_params(temp_dir => $directory, spool_threshold => 20)->get;
    is [ $form->flatten ], [ a => 1, a => 2, "n\x{e9}", "v\x{e9}", bad => "\x{fffd}" ], 'characters, files left out';
    is $request->form_param('a')->get, 2, 'last value';
    is $request->raw_form_param("n\xc3\xa9")->get, "v\xc3\xa9", 'raw';
    like scalar $request->form_params(strict => 1)->failure, qr/does not map to Unicode/, 'strict';
    is [ map { $_->slurp } $request->upload_all("d\x{e9}")->get ], [ 'one', 'two' x 10 ], 'upload_all';
    is [ map { $request->upload("d\x{e9}")->get->$_ } qw(filename is_on_disk field_name) ], [ 'g.txt', 1, "d\x{e9}" ], 'upload: the last';
    is [ map { $_->filename } $request->uploads->get->values ], [ "f\x{e9}.txt", 'g.txt' ], 'file names are characters';
    is $request->upload('none')->get, undef, 'missing';
    ref_is $request->uploads->get, $request->uploads->get, 'cached';

    is $request->body->get, undef, 'the body is consumed';
    is $request->text->get, '', 'text is empty';
    like dies { $request->body_stream }, qr/^Body already consumed/, 'no stream';
    undef $request;
    is [ temp_files($directory) ], [], 'temp files go with the scope';

    $request = request_with(receive_chunks($body), @type);
    is $request->body->get, $body, 'the body may be read first';
    is $request->form_param('a')->get, 2, 'and parsed afterwards';

    $request = request_with(receive_chunks($body), 'Content-Type' => 'multipart/form-data');
    is scalar $request->form_params->failure, "No boundary found in Content-Type\n", 'no boundary';
    is scalar $request->uploads->failure, "No boundary found in Content-Type\n", 'no boundary';

    $request = request_with(receive_chunks($body), @type);
    like scalar $request->form_params(max_fields => 1)->failure, qr/^Too many fields \(max 1\)/, 'limits are passed on';
    $request = request_with(receive_chunks($body), @type);
    PAGI::Request->configure(max_fields => 1);
    like scalar $request->form_params->failure, qr/^Too many fields \(max 1\)/, 'class-wide limits too';
    PAGI::Request->configure(max_fields => undef);
    $request = request_with(receive_chunks($body), @type);
    $request->body_stream;
    like scalar $request->form_params->failure, qr/^Body streaming already started/, 'not after a stream';
};

done_testing;
