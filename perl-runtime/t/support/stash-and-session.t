use v5.36;
use Test2::V0;
use PAGI::Session;
use PAGI::Stash;

{
    package My::WithScope;
    sub new   ($class, $scope) { bless { scope => $scope }, $class }
    sub scope ($self) { $self->{scope} }
}

# The accessors are the same on both.
for my $case (
    ['Stash',   'PAGI::Stash',   'stash has 11 keys'],
    ['Session', 'PAGI::Session', 'session has 11 user keys'],
) {
    my ($label, $class, $count) = @$case;
    subtest "$label accessors" => sub {
        my $data = { b => 2, a => 1, nothing => undef };
        my $object = $class->from_data($data);
        ref_is $object->data, $data, 'data is the wrapped hash';

        is $object->get('a'), 1, 'get';
        is $object->get('nothing'), undef, 'an existing undef is no missing key';
        is $object->get('zzz', 5), 5, 'default';
        is $object->get('zzz', undef), undef, 'undef as default';
        is dies { $object->get('zzz') }, "$label key 'zzz' does not exist. Available keys: a, b, nothing\n",
            'a missing key dies and names the others, sorted';
        is dies { $class->from_data({})->get('x') }, "$label key 'x' does not exist. Available keys: \n", 'none there';
        is dies { $object->get }, "get() requires 1 or 2 arguments\n", 'get without a key';
        is dies { $object->get(1, 2, 3) }, "get() requires 1 or 2 arguments\n", 'get with too many';

        my %many = map { $_ => 1 } 'a' .. 'k';
        is dies { $class->from_data(\%many)->get('x') }, "$label key 'x' does not exist ($count)\n", 'eleven keys are counted';
        delete $many{k};
        like dies { $class->from_data(\%many)->get('x') }, qr/Available keys: a, b, c, d, e, f, g, h, i, j\n\z/, 'ten are listed';

        ref_is $object->set(c => 3, d => 4), $object, 'set chains';
        is [@$data{qw(c d)}], [3, 4], 'and sets';
        ref_is $object->set, $object, 'no pairs: nothing happens';
        is dies { $object->set('odd') }, "set() requires key => value pairs\n", 'odd list';

        is [$object->exists('c'), $object->exists('q')], [1, 0], 'exists gives 1 and 0';
        ref_is $object->delete(qw(c d q)), $object, 'delete chains';
        is [sort $object->keys], [qw(a b nothing)], 'several keys deleted';
        is {$object->slice(qw(a q b))}, { a => 1, b => 2 }, 'slice leaves out what is missing';

        is dies { $class->from_data('x') }, "from_data() requires a hashref\n", 'from_data wants a hash';
        is dies { $class->from_data(undef) }, "from_data() requires a hashref\n", 'and not undef';
    };
}

subtest 'stash in a scope' => sub {
    my $scope = {};
    PAGI::Stash->new($scope)->set(user => 'ann');
    is $scope->{'pagi.stash'}, { user => 'ann' }, 'made in the scope on demand';
    is(PAGI::Stash->new(My::WithScope->new($scope), 'ignored', 1)->get('user'), 'ann', 'shared through an object with a scope');
    is(PAGI::Stash->new({ %$scope })->get('user'), 'ann', 'and through a shallow copy');
    is [PAGI::Stash->new({})->keys], [], 'another scope has its own';

    my $message = "PAGI::Stash requires a scope hashref or object with ->scope method\n";
    is dies { PAGI::Stash->new($_) }, $message, 'refused: ' . (defined $_ ? $_ : 'undef') for undef, 'x', [], bless({}, 'My::Plain');
    is dies { PAGI::Stash->new(My::WithScope->new('no hash')) }, "PAGI::Stash requires scope hashref from ->scope method\n",
        'an object whose scope is no hash';
};

subtest 'session in a scope' => sub {
    my $data = { _id => 'f00', _created => 1, user => 'ann', cart => [] };
    my $scope = { 'pagi.session' => $data };
    my $session = PAGI::Session->new($scope);
    is $session->id, 'f00', 'id';
    is [sort $session->keys], [qw(cart user)], 'keys of the middleware are not listed';
    is dies { $session->get('x') }, "Session key 'x' does not exist. Available keys: cart, user\n", 'nor named';
    my %many = ((map { $_ => 1 } 'a' .. 'k'), _id => 1, _created => 1);
    is dies { PAGI::Session->from_data(\%many)->get('x') }, "Session key 'x' does not exist (session has 11 user keys)\n", 'nor counted';
    is $session->get('_id'), 'f00', 'but can be read';
    is(PAGI::Session->new(My::WithScope->new($scope), 'ignored')->get('user'), 'ann', 'through an object with a scope');

    is [$session->regenerate, $session->destroy, $session->clear], [], 'these do not chain';
    is $data, { _id => 'f00', _created => 1, _regenerated => 1, _destroyed => 1 }, 'clear keeps internal keys, the notes are 1';

    my $message = "PAGI::Session requires a scope hashref (with 'pagi.session' key) or object with ->scope method\n";
    is dies { PAGI::Session->new($_) }, $message, 'refused: ' . (defined $_ ? $_ : 'undef') for undef, {}, 'x', { 'pagi.session' => 1 };
    is dies { PAGI::Session->new(My::WithScope->new({})) }, "PAGI::Session requires scope hashref with 'pagi.session' key\n",
        'an object whose scope has no session';
};

done_testing;
