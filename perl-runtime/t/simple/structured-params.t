use v5.36;
use Test2::V0;
use PAGI::Simple::StructuredParams;

sub params ($values) { return PAGI::Simple::StructuredParams->new(params => $values) }

is params({ 'a.b.c' => 1, 'a.b.d' => 2, e => 3 })->to_hash, { a => { b => { c => 1, d => 2 } }, e => 3 }, 'nesting';
is params({ 'x[0]' => 'a', 'x[2]' => 'c' })->to_hash, { x => [ 'a', undef, 'c' ] }, 'sparse arrays';
is params({ 'x[3].y' => 1, 'x[].y' => 2 })->to_hash, { x => [ undef, undef, undef, { y => 1 }, { y => 2 } ] }, '[] after the highest index';
is params({ x => [ 1, 2 ] })->to_hash, { x => 2 }, 'the last value of a repeated key';
is params({ 'p.x' => 1, 'q.x' => 2, px => 3 })->namespace('p')->to_hash, { x => 1 }, 'namespace';
is params({})->namespace('p')->namespace, 'p', 'its getter';
is params({ 'x[9999999]' => 1, 'y[a]' => 1, ok => 1 })->to_hash, { ok => 1 }, 'huge and malformed indexes are ignored';

my %all = (name => 'n', admin => 1, 'address.street' => 's', 'address.x' => 1, 'tags' => [ 'a', 'b' ], 'lines[0].item' => 1, 'lines[2].item' => 2, 'lines[0].x' => 3);
is params(\%all)->permitted('name')->to_hash, { name => 'n' }, 'a scalar';
is params(\%all)->permitted('address')->to_hash, {}, 'a scalar rule lets no hash through';
is params(\%all)->permitted('name', address => ['street'])->to_hash, { name => 'n', address => { street => 's' } }, 'a nested hash';
is params(\%all)->permitted(+{ tags => [] }, +{ absent => [] })->to_hash, { tags => [ 'a', 'b' ] }, 'an array of scalars';
is params(\%all)->permitted(+{ lines => ['item'] })->to_hash, { lines => [ { item => 1 }, undef, { item => 2 } ] }, 'an array of hashes, indexes preserved';
is params(\%all)->permitted('name')->permitted('admin')->to_hash, { name => 'n', admin => 1 }, 'rules add up';

is params({ 'l[0].n' => 1, 'l[0].del' => 0, 'l[1].n' => 2, 'l[1].del' => 1 })->skip('del')->to_hash, { l => [ { n => 1 } ] }, 'skip';
my $zero = params({ a => 0, b => ' ' })->required('a', 'b')->to_hash;
is $zero, { a => 0, b => ' ' }, '0 and blanks are there';
my $error = dies { params({ a => '', c => 1 })->required('a', 'b')->to_hash };
is [ "$error", $error->status ], [ 'Missing required parameters: a, b', 400 ], 'required';

package SimpleTest::Model { sub model_name { bless {}, 'SimpleTest::ModelName' } }
package SimpleTest::ModelName { sub param_key { 'model' } }
is params({ 'model.x' => 1 })->namespace_for('SimpleTest::Model')->to_hash, { x => 1 }, 'namespace_for';
like dies { params({})->namespace_for('SimpleTest::Nothing') }, qr/SimpleTest::Nothing does not provide model_name/, 'of a class without';

my $object = PAGI::Simple::StructuredParams->new(params => { a => 1 }, source_type => 'query', context => 'c');
is [ $object->source_type, $object->{context} ], [ 'query', 'c' ], 'where the values come from';
require Hash::MultiValue;
is(PAGI::Simple::StructuredParams->new(multi_value => Hash::MultiValue->new(a => 1, a => 2, 'b[]' => 3))->permitted('a', +{ b => [] })->to_hash, { a => 2, b => [3] }, 'of a Hash::MultiValue');
is(PAGI::Simple::StructuredParams->new(params => { a => 1 })->namespace('p')->permitted('a')->skip('x')->to_hash, {}, 'every method chains');
is params({ 'p.l[0].n' => 1, 'p.l[0].gone' => 1, 'p.l[1].n' => 2 })->namespace('p')->permitted(+{ l => [ 'n', 'gone' ] })->skip('gone')->required('l')->to_hash, { l => [ { n => 2 } ] },
    'namespace, permit, skip, require: in that order';
like dies { params({ 'l[0].n' => 1, 'l[0].gone' => 1, 'x' => 1 })->skip('gone')->required('x', 'y')->to_hash }, qr/Missing required parameters: y/, 'what is required is looked for at the end';

done_testing;
