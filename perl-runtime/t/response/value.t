use strict;
use warnings;
use Test2::V0;
use File::Temp;
use Future;
use PAGI::Request;
use PAGI::Response;
use PAGI::Stash;

# What a response sends: (status, headers as hash of last values, body events...)
sub sent {
    my ($response) = @_;
    my @events;
    $response->respond(sub { push @events, $_[0]; Future->done })->get;
    return \@events;
}

sub start   { sent(@_)->[0] }
sub body    { sent(@_)->[1]{body} }
sub headers { my %h = map { lc $_->[0] => $_->[1] } @{ start(@_)->{headers} }; return \%h }

my $r = 'PAGI::Response';

subtest construction => sub {
    is $r->new->scope, undef, 'no scope';
    my $scope = { type => 'http' };
    ref_is $r->new($scope)->scope, $scope, 'scope';
    like dies { PAGI::Response->new('x') }, qr/^scope must be a hashref at \Q$0\E/, 'bad scope';
    like dies { PAGI::Response->new([]) }, qr/^scope must be a hashref/, 'bad scope';
    PAGI::Stash->new($r->new($scope))->set(a => 1);
    is(PAGI::Stash->new(PAGI::Request->new($scope))->get('a'), 1, 'the stash is shared with the request');
    is(PAGI::Stash->new({%$scope})->get('a'), 1, 'and survives a shallow copy of the scope');
};

subtest 'status and headers' => sub {
    my $response = $r->new;
    is [ $response->status, $response->has_status, $response->{_status} ], [ 200, 0, undef ], 'default';
    ref_is $response->status(404), $response, 'chains';
    is [ $response->status, $response->has_status, $response->{_status} ], [ 404, 1, 404 ], 'set';
    is $response->status_try(500)->status, 404, 'status_try keeps it';
    is $r->new->status_try(500)->status, 500, 'status_try sets it';
    for my $bad (99, 600, 'abc', '20x', '', undef, -1, '2e2') {
        like dies { $response->status($bad) }, qr/^Status must be a number between 100-599 at \Q$0\E/, $bad // 'undef';
    }

    ref_is $response->header('X-A', 1)->header('x-a', 2), $response, 'header chains';
    is [ $response->header('X-a'), [ $response->header_all('x-A') ] ], [ 2, [ 1, 2 ] ], 'appended';
    isa_ok $response->headers, 'PAGI::Headers';
    $response->headers->set('x-a', 3);
    is $response->header('x-a'), 3, 'the headers object is live';
    is $response->header_try('x-a', 4)->header_try('x-b', 5)->header('x-a'), 3, 'header_try keeps';
    is $response->header('x-b'), 5, 'header_try sets';
    is [ $response->has_header('X-B'), $response->has_header('x-c') ], [ 1, 0 ], 'has_header';
    ref_is $response->remove_header('X-b'), $response, 'remove_header chains';
    is $response->header('x-b'), undef, 'removed';
    for my $method (qw(header header_try remove_header)) {
        like dies { $response->$method(undef, 1) }, qr/^Header name is required at \Q$0\E/, "$method without a name";
    }
    like dies { $response->header('x-a', undef) }, qr/^header value must be defined at \Q$0\E/, 'header without a value';

    is [ $response->content_type, $response->has_content_type ], [ undef, 0 ], 'no type';
    ref_is $response->content_type('text/a')->content_type('text/b'), $response, 'content_type chains';
    is [ $response->header_all('content-type') ], ['text/b'], 'and replaces';
    is $response->content_type_try('text/c')->content_type, 'text/b', 'content_type_try';
    is $response->has_content_type, 1, 'has_content_type';
    is $response->content_type(undef)->has_content_type, 0, 'undef removes';
    like dies { $response->content_type_try(undef) }, qr/^header value must be defined/, 'content_type_try(undef)';
};

subtest cookies => sub {
    my $response = $r->new
        ->cookie(a => 1)
        ->cookie(b => 'x y', samesite => 'Lax', httponly => 1, secure => 1, domain => 'd', path => '/', expires => 'E', max_age => 60)
        ->delete_cookie('c', path => '/p', domain => 'd', secure => 1);
    is [ $response->header_all('set-cookie') ], [
        'a=1',
        'b=x y; Max-Age=60; Expires=E; Path=/; Domain=d; Secure; HttpOnly; SameSite=Lax',
        'c=; Max-Age=0; Path=/p; Domain=d',
    ], 'attributes in order, nothing encoded';
};

subtest cors => sub {
    my $cors = sub { headers($r->text('x')->cors(@_)) };
    my $plain = $cors->();
    is [ @$plain{qw(access-control-allow-origin vary)} ], [ '*', 'Origin' ], 'default';
    is [ grep { /access-control/ } sort keys %$plain ], ['access-control-allow-origin'], 'nothing else';
    is $cors->(origin => 'https://a')->{'access-control-allow-origin'}, 'https://a', 'origin';
    my $credentials = $cors->(credentials => 1, request_origin => 'https://b', expose => [ 'A', 'B' ]);
    is [ @$credentials{qw(access-control-allow-origin access-control-allow-credentials access-control-expose-headers)} ],
        [ 'https://b', 'true', 'A, B' ], 'credentials take the origin of the request';
    is $cors->(credentials => 1)->{'access-control-allow-origin'}, '*', 'if it is known';
    is $cors->(request_origin => 'https://b')->{'access-control-allow-origin'}, '*', 'and only then';
    my $preflight = $cors->(preflight => 1);
    is [ @$preflight{map { "access-control-$_" } qw(allow-methods allow-headers max-age)} ],
        [ 'GET, POST, PUT, DELETE, PATCH, OPTIONS', 'Content-Type, Authorization, X-Requested-With', 86400 ], 'preflight';
    $preflight = $cors->(preflight => 1, methods => ['GET'], headers => ['X'], max_age => 0);
    is [ @$preflight{map { "access-control-$_" } qw(allow-methods allow-headers max-age)} ], [ 'GET', 'X', 0 ], 'preflight options';
    my $response = $r->new;
    ref_is $response->cors, $response, 'chains';
};

subtest 'what is sent' => sub {
    my $response = $r->text("h\x{e9}")->header('X-A' => 1);
    my $events = sent($response);
    is $events, [
        { type => 'http.response.start', status => 200, headers => [
            [ 'content-type', 'text/plain; charset=utf-8' ], [ 'X-A', 1 ], [ 'content-length', 3 ] ] },
        { type => 'http.response.body', body => "h\xc3\xa9", more => 0 },
    ], 'a start and a body';
    push @{ $events->[0]{headers} }, [ 'x-b', 1 ];
    is sent($response)->[0]{headers}[-1][0], 'content-length', 'sent again it is the same';

    my $app = $response->to_app;
    my @events;
    $app->({ type => 'http' }, sub { }, sub { push @events, $_[0]; Future->done })->get;
    is \@events, sent($response), 'to_app';

    my $own = $r->send_raw('abc')->header('Content-Length', 99)->header('TRANSFER-encoding', 'chunked');
    is start($own)->{headers}, [ [ 'content-length', 3 ] ], 'one computed length, no transfer-encoding';
    is sent($r->new->status(201)), [
        { type => 'http.response.start', status => 201, headers => [ [ 'content-length', 0 ] ] },
        { type => 'http.response.body', body => '', more => 0 },
    ], 'status only';
    is start($r->empty)->{headers}, [], 'no content-length with 204';
    is start($r->new->status(204)->header('content-length', 5))->{headers}, [], 'not even a given one';
    is start($r->new->status(304)->header('content-length', 5))->{headers}, [ [ 'content-length', 5 ] ], 'with 304 only a given one';
    is start($r->new->status(304))->{headers}, [], 'none is made up';

    like scalar $response->respond->failure, qr/^send must be a coderef at \Q$0\E/, 'send is required';
    is [ $response->respond(sub { Future->fail("refused\n") })->failure ], ["refused\n"], 'a refused start';
    is [ $response->respond(sub { die "dead\n" })->failure ], ["dead\n"], 'a dying send';
    my $second = 0;
    is [ $response->respond(sub { $second++ ? Future->fail("late\n") : Future->done })->failure ], ["late\n"], 'a refused body';

    my @pending;
    my $future = $response->respond(sub { push @pending, my $f = Future->new; $f });
    is [ scalar(@pending), !!$future->is_ready ], [ 1, F ], 'the body waits for the start';
    $pending[0]->done;
    is [ scalar(@pending), !!$future->is_ready ], [ 2, F ], 'and the end for the body';
    $pending[1]->done('value');
    is [ $future->get ], [], 'resolves to nothing';
};

subtest 'body methods' => sub {
    is [ body($r->text("\x{3042}")), headers($r->text('x'))->{'content-type'} ], [ "\xe3\x81\x82", 'text/plain; charset=utf-8' ], 'text';
    is [ body($r->html('<p>')), headers($r->html('x'))->{'content-type'} ], [ '<p>', 'text/html; charset=utf-8' ], 'html';
    is [ body($r->json({ b => "\x{e9}", a => [ 1, undef ] })), headers($r->json({}))->{'content-type'} ],
        [ qq({"a":[1,null],"b":"\xc3\xa9"}), 'application/json' ], 'json: canonical, no charset';
    is [ map { body($r->json($_)) } 'x', 5, undef ], [ '"x"', '5', 'null' ], 'json of plain values';
    is [ body($r->send("\x{e9}", charset => 'iso-8859-1')), headers($r->send('x', charset => 'iso-8859-1'))->{'content-type'} ],
        [ "\xe9", 'text/plain; charset=iso-8859-1' ], 'send';
    is headers($r->send('x'))->{'content-type'}, 'text/plain; charset=utf-8', 'send: default charset';
    is [ body($r->send_raw("\xff")), headers($r->send_raw("\xff"))->{'content-type'} ], [ "\xff", undef ], 'send_raw: no type';
    is [ map { body($r->$_(undef)) } qw(text html send send_raw) ], [ ('') x 4 ], 'undef is empty';
    like dies { PAGI::Response->send("\x{3042}", charset => 'iso-8859-1') }, qr/does not map/, 'unencodable';
    like dies { PAGI::Response->send('x', charset => 'nope') }, qr/^Unknown encoding 'nope' at \Q$0\E/, 'unknown charset';

    is [ $r->empty->status, $r->new->status(205)->empty->status, $r->empty(status => 202)->status ], [ 204, 205, 202 ], 'empty';
    my $redirect = $r->new->status(500)->redirect('/a')->redirect('/b', 303);
    is [ $redirect->status, [ $redirect->header_all('location') ], body($redirect) ], [ 303, ['/b'], '' ], 'redirect replaces';
    is $r->redirect('/a')->status, 302, 'redirect: default';

    my $response = $r->new;
    ref_is $response->$_('x'), $response, "$_ on an object chains" for qw(text html json send send_raw redirect);
    ref_is $response->empty, $response, 'empty chains';

    {
        package t::Point;
        sub TO_JSON { [ $_[0]{x}, $_[0]{y} ] }
    }
    is body($r->json(bless { x => 1, y => 2 }, 't::Point')), '[1,2]', 'TO_JSON';
};

subtest 'type and charset' => sub {
    my $type = sub { headers($_[0])->{'content-type'} };
    is $type->($r->new->content_type('text/css')->text('x')), 'text/css; charset=utf-8', 'a type set before stays and gets the charset';
    is $type->($r->new->content_type('text/css; charset=latin1')->text('x')), 'text/css; charset=latin1', 'an explicit charset stays';
    is $type->($r->new->content_type('application/problem+json')->json({})), 'application/problem+json', 'JSON types stay bare';
    is $type->($r->new->content_type('Application/JSON')->text('{}')), 'Application/JSON', 'also with text';
    is $type->($r->new->content_type('text/x')->json({})), 'text/x; charset=utf-8', 'another type with json';
    is $type->($r->html('x')->text('y')), 'text/html; charset=utf-8', 'the type of an earlier body method counts';
    is $type->($r->text('x', content_type => 'text/x')), 'text/x; charset=utf-8', 'as an option';
};

subtest 'trailing options' => sub {
    my $response = $r->text('x', status => 418, content_type => 'text/x', headers => [ 'x-a' => 1, 'x-a' => 2 ]);
    is [ $response->status, $response->content_type, [ $response->header_all('x-a') ] ],
        [ 418, 'text/x; charset=utf-8', [ 1, 2 ] ], 'applied';
    is $r->$_('x', status => 400)->status, 400, $_ for qw(html json send_raw);
    for my $method (qw(text html json send_raw)) {
        like dies { PAGI::Response->$method('x', colour => 1) },
            qr/^Unknown response option 'colour' \(known: status, content_type, headers\) at \Q$0\E/, "$method: unknown option";
    }
    for my $bad ([ 'a' ], {}, 'a') {
        like dies { PAGI::Response->text('x', headers => $bad) },
            qr/^headers must be an even-length arrayref \[ name => value, \.\.\. \] at \Q$0\E/, 'bad headers';
    }
    like dies { PAGI::Response->text('x', 'status') }, qr/^Response options must be name => value pairs/, 'odd options';
    my $untouched = $r->new;
    ok dies { $untouched->text('x', status => 400, colour => 1) }, 'refused';
    is [ $untouched->has_status, $untouched->has_body_source ], [ 0, 0 ], 'nothing is changed by a refused call';
};

subtest has_body_source => sub {
    is $r->new->has_body_source, 0, 'new';
    is $r->new->status(404)->header(a => 1)->has_body_source, 0, 'status and headers';
    is $r->$_('x')->has_body_source, 1, $_ for qw(text html json send send_raw redirect);
    is $r->empty->has_body_source, 1, 'an intentionally empty body';
    is $r->stream(sub { })->has_body_source, 1, 'stream';
    is $r->send_file(__FILE__)->has_body_source, 1, 'file';
    my $response = $r->text('x');
    sent($response);
    is $response->has_body_source, 1, 'after sending';
};

subtest send_file => sub {
    my $directory = File::Temp->newdir;
    my $path = "$directory/data.JSON";
    open my $fh, '>', $path or die $!;
    print {$fh} 'x' x 100;
    close $fh;

    is sent($r->send_file($path)), [
        { type => 'http.response.start', status => 200, headers => [ [ 'content-type', 'application/json' ], [ 'content-length', 100 ] ] },
        { type => 'http.response.body', file => $path },
    ], 'whole file, no more key';
    is sent($r->send_file($path, offset => 10, length => 20))->[1], { type => 'http.response.body', file => $path, offset => 10, length => 20 }, 'part';
    is sent($r->send_file($path, offset => 90, length => 20))->[1], { type => 'http.response.body', file => $path, offset => 90 }, 'clamped';
    is headers($r->send_file($path, offset => 90, length => 20))->{'content-length'}, 10, 'length';
    is sent($r->send_file($path, offset => 100))->[0]{headers}[1], [ 'content-length', 0 ], 'offset at the end';
    is sent($r->send_file($path, length => 0))->[1], { type => 'http.response.body', file => $path, length => 0 }, 'length 0';

    require File::Spec;
    like sent($r->send_file(File::Spec->abs2rel($path)))->[1]{file}, qr{\A/.*/data\.JSON\z}, 'a relative path is made absolute, as servers ask for';

    my $disposition = sub { headers($r->send_file($path, @_))->{'content-disposition'} };
    is $disposition->(), undef, 'no disposition';
    is $disposition->(filename => qq{a"b\r\n.txt}), 'attachment; filename="ab.txt"', 'attachment';
    is $disposition->(inline => 1, filename => 'x'), 'inline', 'inline';
    is $disposition->(filename => "caf\x{e9}.txt"), q{attachment; filename="caf_.txt"; filename*=UTF-8''caf%C3%A9.txt}, 'not ASCII';

    is headers($r->new->content_type('text/x')->send_file($path))->{'content-type'}, 'text/x', 'a type set before stays';
    is [ $r->send_file($path, status => 206, headers => [ 'x-a', 1 ])->status ], [206], 'trailing options';
    my $twice = $r->new->header('content-length', 7)->send_file($path, filename => 'a')->send_file($path, filename => 'b', offset => 50);
    is [ map { [ $twice->header_all($_) ] } qw(content-length content-disposition) ], [ [50], ['attachment; filename="b"'] ], 'a second call replaces';

    my %type = (
        'a.html' => 'text/html', 'a.htm' => 'text/html', 'a.txt' => 'text/plain', 'a.css' => 'text/css', 'a.js' => 'application/javascript',
        'a.xml' => 'application/xml', 'a.pdf' => 'application/pdf', 'a.zip' => 'application/zip', 'a.png' => 'image/png',
        'a.jpg' => 'image/jpeg', 'a.jpeg' => 'image/jpeg', 'a.gif' => 'image/gif', 'a.svg' => 'image/svg+xml', 'a.ico' => 'image/x-icon',
        'a.woff' => 'font/woff', 'a.woff2' => 'font/woff2', 'a.bin' => 'application/octet-stream', 'noextension' => 'application/octet-stream',
    );
    for my $name (sort keys %type) {
        open my $new, '>', "$directory/$name" or die $!;
        is $r->send_file("$directory/$name")->content_type, $type{$name}, $name;
    }

    like dies { PAGI::Response->send_file("$directory/gone") }, qr{^File not found: \Q$directory\E/gone at \Q$0\E}, 'missing';
    like dies { PAGI::Response->send_file("$directory") }, qr{^File not found: }, 'a directory';
    like dies { PAGI::Response->send_file(undef) }, qr{^File not found: }, 'undef';
    like dies { PAGI::Response->send_file($path, offset => -1) }, qr/^offset must be non-negative at \Q$0\E/, 'offset';
    like dies { PAGI::Response->send_file($path, offset => 101) }, qr/^offset exceeds file size at/, 'offset';
    like dies { PAGI::Response->send_file($path, length => -1) }, qr/^length must be non-negative at/, 'length';
    like dies { PAGI::Response->send_file($path, colour => 1) }, qr/^Unknown response option 'colour' \(known: .*status, content_type, headers\)/, 'unknown option';
};

subtest is_sent => sub {
    {
        package t::Connection;
        sub response_started { $_[0]{started} }
    }
    my $connection = bless { started => 0 }, 't::Connection';
    my $response = $r->new({ 'pagi.connection' => $connection });
    is $response->is_sent, 0, 'not yet';
    $connection->{started} = 1;
    is $response->is_sent, 1, 'started, by whomever';
    is [ $r->new->is_sent, $r->new({})->is_sent ], [ 0, 0 ], 'without scope or connection';
    for my $bad ({}, bless({}, 't::Nothing')) {
        like dies { PAGI::Response->new({ 'pagi.connection' => $bad })->is_sent },
            qr/^pagi\.connection lacks response_started \(non-conforming server\) at \Q$0\E/, 'malformed connection object';
    }
};

subtest subclass => sub {
    {
        package t::Signed;
        our @ISA = 'PAGI::Response';
        sub respond { my ($self, $send) = @_; $self->header('x-signed', 1) unless $self->has_header('x-signed'); return $self->SUPER::respond($send) }
    }
    my $response = t::Signed->text('x');
    isa_ok $response, 't::Signed';
    is headers($response)->{'x-signed'}, 1, 'respond may be overridden';
};

done_testing;
