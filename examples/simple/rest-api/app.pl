use v5.36;
use PAGI::Simple;
use PAGI::Simple::Exception;

my $app = PAGI::Simple->new(name => 'Books');
$app->use_cors(origins => ['*']);

my %books = (1 => { id => 1, title => 'Programming Perl', year => 2012 });
my $next = 2;

my $checked = sub ($data) {
    PAGI::Simple::Exception->throw(status => 422, message => 'title is required')
        unless ref $data eq 'HASH' && length($data->{title} // '');
    PAGI::Simple::Exception->throw(status => 422, message => 'year must be a number') if ($data->{year} // 0) !~ /\A[0-9]+\z/;
    return { title => $data->{title}, year => ($data->{year} // 0) + 0 };
};

# Errors of an API are JSON too.
for my $status (400, 404, 405, 422, 500) {
    $app->error($status => sub ($c, $error = undef) { $c->json({ status => $status, error => defined $error && $status < 500 ? "$error" : 'error' }) });
}

$app->group('/api/books' => sub ($app) {
    $app->get('' => sub ($c) {
        my $wanted = lc($c->req->query_param('q') // '');
        $c->json([ grep { index(lc $_->{title}, $wanted) >= 0 } map { $books{$_} } sort { $a <=> $b } keys %books ]);
    });
    $app->post('' => sub ($c) {
        my $book = { id => $next, %{ $checked->($c->json_body) } };
        $books{ $next++ } = $book;
        $c->res_header(location => $c->url_for('book', id => $book->{id}));
        $c->json($book, 201);
    });
    $app->get('/{id:[0-9]+}' => sub ($c) { $c->json($books{ $c->path_params->{id} } // $c->not_found('no such book')) })->name('book');
    $app->put('/{id:[0-9]+}' => sub ($c) {
        my $id = $c->path_params->{id};
        $c->not_found('no such book') unless $books{$id};
        $c->json($books{$id} = { id => $id + 0, %{ $checked->($c->json_body) } });
    });
    $app->delete('/{id:[0-9]+}' => sub ($c) {
        delete $books{ $c->path_params->{id} } or $c->not_found('no such book');
        $c->status(204)->send_response('');
    });
});

$app->get('/openapi.json' => sub ($c) {
    my $book = { '$ref' => '#/components/schemas/Book' };
    my $json = sub ($schema) { +{ 'application/json' => { schema => $schema } } };
    my @id = { name => 'id', in => 'path', required => \1, schema => { type => 'integer' } };
    $c->json({
        openapi => '3.0.3', info => { title => 'Books', version => '1.0' },
        paths => {
            '/api/books' => {
                get  => { summary => 'List books', parameters => [ { name => 'q', in => 'query', schema => { type => 'string' } } ],
                    responses => { 200 => { description => 'Books', content => $json->({ type => 'array', items => $book }) } } },
                post => { summary => 'Add a book', requestBody => { content => $json->($book) }, responses => { 201 => { description => 'Added' }, 422 => { description => 'Not a book' } } },
            },
            '/api/books/{id}' => {
                get    => { summary => 'One book', parameters => \@id, responses => { 200 => { description => 'The book', content => $json->($book) }, 404 => { description => 'None' } } },
                put    => { summary => 'Replace a book', parameters => \@id, requestBody => { content => $json->($book) }, responses => { 200 => { description => 'Replaced' } } },
                delete => { summary => 'Remove a book', parameters => \@id, responses => { 204 => { description => 'Removed' } } },
            },
        },
        components => { schemas => { Book => { type => 'object', required => ['title'],
            properties => { id => { type => 'integer' }, title => { type => 'string' }, year => { type => 'integer' } } } } },
    });
});

$app->get('/' => sub ($c) { $c->send_file($app->home . '/public/index.html', inline => 1) });
$app->to_app;
