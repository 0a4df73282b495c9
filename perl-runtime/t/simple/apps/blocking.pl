use v5.36;
use Future::AsyncAwait;
use PAGI::Simple;

# What t/simple/blocking.t asks for.
my $app = PAGI::Simple->new(name => 'Blocking', quiet => 1, workers => { max_workers => 2, timeout => 2, queue_limit => 2 });
$app->get('/sum/:n' => async sub ($c) {
    my $factor = 2;    # a closure over a lexical, with a signature
    await $c->json([ await $c->run_blocking(sub ($n, $extra) { return ($factor * $n, $extra->{a}, $$) }, $c->path_params->{n}, { a => [1] }), $$ ]);
});
$app->get('/die' => async sub ($c) {
    my $text = eval { await $c->run_blocking(sub { die "inside\n" }); 1 } ? 'lived' : $@;
    my $object = eval { await $c->run_blocking(sub { die { code => 7 } }); 1 } ? 'lived' : $@;
    my $gone = eval { await $c->run_blocking(sub { kill KILL => $$; sleep 5 }); 1 } ? 'lived' : $@;
    await $c->json([ $text, $object, $gone ]);
});
$app->get('/queue' => async sub ($c) {
    my @futures = map { my $n = $_; $c->run_blocking(sub { select undef, undef, undef, 0.05; $n }) } 1 .. 5;
    my $stats = $c->app->worker_pool->stats;
    my @results;
    while (my $future = shift @futures) { push @results, eval { await $future } // $@ }
    await $c->json([ $stats, @results ]);
});
$app->get('/slow' => async sub ($c) {
    await $c->text(eval { await $c->run_blocking(sub { sleep 20 }); 1 } ? 'lived' : $@);
});
$app->to_app;
