use strict;
use warnings;
use Test2::V0;
use FindBin;
use lib "$FindBin::Bin/lib";
use Future;
use RequestHelper;

subtest body => sub {
    my $calls = 0;
    my $request = request_with(receive_events([
        { type => 'http.request', body => 'ab', more => 1 },
        { type => 'http.request', more => 1 },
        { type => 'http.request', body => 'cd', more => 0 },
    ], \$calls));
    is $request->body->get, 'abcd', 'chunks are joined';
    is $request->body->get, 'abcd', 'cached';
    is $calls, 3, 'received once';
    my $second = PAGI::Request->new($request->scope, sub { die 'must not receive' });
    is $second->text->get, 'abcd', 'cached for every object of the scope';

    is request_with(receive_chunks(''))->body->get, '', 'empty';
    is request_with(receive_events([ { type => 'http.request', body => 'part', more => 1 } ]))->body->get, 'part',
        'a disconnect yields what arrived';
    is request_with(receive_events([ { body => 'x', more => 1 } ]))->body->get, '', 'an event without type ends it';
    is request_with(receive_events([ { type => 'sse.request', body => 'x', more => 0 } ]))->body->get, 'x', 'body of an sse request';

    is scalar request_with(undef)->body->failure, "No receive callback provided\n", 'without receive';

    my @pending;
    my $slow = request_with(sub { push @pending, my $f = Future->new; $f });
    my $body = $slow->body;
    is $body->is_ready, F, 'waits';
    (shift @pending)->done({ type => 'http.request', body => 'x', more => 0 });
    is $body->get, 'x', 'and goes on';
    my $failing = request_with(sub { Future->fail("lost\n") });
    is scalar $failing->body->failure, "lost\n", 'a failing receive fails it';
};

subtest text => sub {
    is request_with(receive_chunks("caf\xc3", "\xa9"))->text->get, "caf\x{e9}", 'UTF-8 across chunks';
    is request_with(receive_chunks("a\xffb"))->text->get, "a\x{fffd}b", 'lenient';
    like scalar request_with(receive_chunks("a\xffb"))->text(strict => 1)->failure, qr/does not map to Unicode/, 'strict';
    is request_with(receive_chunks("ok"))->text(strict => 1)->get, 'ok', 'strict and valid';
    like scalar request_with(receive_chunks(''))->text(x => 1)->failure, qr/^Unknown options to text: x at/, 'unknown option';
};

subtest json => sub {
    is request_with(receive_chunks(qq({"a":"\xc3\xa9"}))) ->json->get, { a => "\x{e9}" }, 'decoded';
    is request_with(receive_chunks('"x"'))->json->get, 'x', 'a scalar';
    ok scalar request_with(receive_chunks('{oops'))->json->failure, 'invalid';
    ok scalar request_with(receive_chunks(''))->json->failure, 'empty';
};

subtest 'urlencoded forms' => sub {
    my $calls = 0;
    my $receive = receive_events([ { type => 'http.request', body => 'a=1&a=2&n=J%C3%BCrgen+K&b=%FF', more => 0 } ], \$calls);
    my $request = request_with($receive, 'content-type' => 'application/x-www-form-urlencoded');
    my $form = $request->form_params->get;
    isa_ok $form, 'Hash::MultiValue';
    is [ $form->get_all('a') ], [ 1, 2 ], 'all values';
    is $request->form_param('a')->get, 2, 'last value';
    is $request->form_param('n')->get, "J\x{fc}rgen K", 'characters';
    is $request->form_param('none')->get, undef, 'missing';
    is $request->raw_form_param('n')->get, "J\xc3\xbcrgen K", 'bytes';
    is $request->raw_form_params->get->get('b'), "\xff", 'bytes';
    is $request->form_param('b')->get, "\x{fffd}", 'lenient';
    like scalar $request->form_params(strict => 1)->failure, qr/does not map to Unicode/, 'strict';
    ref_is $request->form_params->get, $form, 'cached';
    is $calls, 1, 'received once';
    is [ $request->uploads->get->keys ], [], 'no uploads';
    is $request->upload('a')->get, undef, 'no upload';

    is [ request_with(receive_chunks(''))->form_params->get->keys ], [], 'empty';
    is request_with(receive_chunks('a=1'), 'content-type' => 'text/plain')->form_param('a')->get, 1, 'whatever the type';
    like scalar request_with(receive_chunks(''))->form_params(x => 1, y => 2)->failure,
        qr/^Unknown options to form_params: x, y at/, 'unknown option';
    like scalar request_with(receive_chunks(''))->uploads(x => 1)->failure, qr/^Unknown options to uploads: x at/, 'unknown limit';

    $request = request_with(receive_chunks('a=1'));
    my ($old, $old_raw);
    like warnings { $old = $request->form->get; $old_raw = $request->raw_form->get },
        [ qr/^form\(\) is deprecated; use form_params\(\) instead at \Q$0\E/,
          qr/^raw_form\(\) is deprecated; use raw_form_params\(\) instead at \Q$0\E/ ], 'deprecated names';
    is [ $old->get('a'), $old_raw->get('a') ], [ 1, 1 ], 'still work';
};

subtest 'buffered and streamed exclude each other' => sub {
    my $request = request_with(receive_chunks('abc'));
    is $request->body->get, 'abc', 'body';
    like dies { $request->body_stream }, qr/^Body already consumed; streaming not available at \Q$0\E/, 'no stream after body';

    $request = request_with(receive_chunks('abc'));
    my $stream = $request->body_stream;
    like dies { $request->body_stream }, qr/^Body streaming already started at \Q$0\E/, 'no second stream';
    for my $method (qw(body text json form_params)) {
        like scalar $request->$method->failure, qr/^Body streaming already started; buffered helpers unavailable/, $method;
    }
    is $stream->next_chunk->get, 'abc', 'the stream works';

    $request = request_with(receive_chunks('abc'));
    like dies { $request->body_stream(decode => 'no-such') }, qr/^Unknown encoding 'no-such' at \Q$0\E/, 'bad encoding';
    is $request->body->get, 'abc', 'a stream that was not made blocks nothing';
};

done_testing;
