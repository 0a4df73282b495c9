use v5.36;
use Future::AsyncAwait;
use PAGI::Simple;

# What t/simple/request.t asks for: everything that can be asked of a request.
my $app = PAGI::Simple->new(name => 'Requests', quiet => 1);

$app->any('/properties/:id' => sub ($c) {
    my $req = $c->req;
    $c->json({
        (map { $_ => $req->$_ } qw(
            method path query_string raw_query_string content_type content_length host user_agent scheme is_secure client_ip
            is_multipart is_json is_form is_htmx is_boosted htmx_boosted htmx_history_restore_request htmx_target htmx_trigger
            htmx_trigger_name htmx_current_url htmx_prompt path_params
        )),
        id       => $req->path_param('id'),
        none     => $req->path_param('none'),
        ports    => [ map { $_ > 0 ? 1 : 0 } $req->server_port, $req->client_port ],
        server   => length $req->server_name ? 1 : 0,
        same     => $req == $c->req ? 1 : 0,
        names    => [ grep { /\Ax-/ } sort $req->headers->keys ],
        triple   => [ ref $c->scope, ref $c->receive, ref $c->send ],
        state    => ref $c->state,
        started  => $c->response_started,
    });
});
$app->get('/query' => sub ($c) {
    my $req = $c->req;
    $c->json({
        one  => $req->query_param('k'),
        all  => $req->query_params('k'),
        case => $req->query_param('K'),
        bad  => $req->query_param('bad'),
        # bytes are shown as hexadecimal digits
        raw  => [ map { unpack 'H*', $_ } $req->raw_query_param('bad'), $req->raw_query->get('bad'), @{ $req->raw_query_params('bad') } ],
        strict => scalar(eval { $req->query_param('bad', strict => 1); 1 } ? 'taken' : $@ =~ /does not map to Unicode/ ? 'refused' : $@),
        cached => $req->query == $req->query ? 1 : 0,
    });
});
$app->post('/form' => async sub ($c) {
    my $req = $c->req;
    my $raw = await $req->raw_body_params;
    my $byte = await $req->raw_body_param('n');
    my $all = await $req->body_params;
    my $name = await $req->body_param('n');
    my $unified = await $c->param('n');
    my $strict = await $req->body_params(strict => 1)->else(sub ($error, @) { Future->done($error =~ /does not map to Unicode/ ? 'refused' : $error) });
    await $c->json({
        raw => [ map { unpack 'H*', $_ } $raw->get('n'), $byte ], n => $name, keys => [ $all->keys ], param => $unified,
        strict => ref $strict ? 'taken' : $strict,
    });
});
$app->get('/headers' => sub ($c) {
    my $req = $c->req;
    $c->json([
        $req->header_utf8('x-text'), scalar $req->header_utf8('x-none'),
        (eval { $req->header_utf8('x-bad', strict => 1); 1 } ? 'taken' : $@ =~ /does not map/ ? 'refused' : $@), $req->header_utf8('x-bad'),
    ]);
});
$app->get('/wants' => sub ($c) {
    my $req = $c->req;
    $c->json([ $req->accepts_type('json'), $req->accepts_type('png'), $req->preferred_type('html', 'json'), $req->preferred_type('png') ]);
});
$app->post('/uploads' => async sub ($c) {
    my $all = await $c->req->uploads_all;
    my $list = await $c->uploads('f');
    my $one = await $c->upload('f');
    my $handle = $one->filehandle;
    my $line = readline $handle;
    await $c->json({ fields => [ $all->keys ], all => [ map { $_->filename } @$list ], line => $line, none => scalar @{ await $c->uploads('none') } });
});
$app->get('/accepts' => sub ($c) { $c->header('x-alias' => 1)->json([ $c->accepts ]) });
$app->to_app;
