use v5.36;
use Test2::V0;

# Every app module compiles on its own, without help from others.

my @modules = map { s{\Alib/}{}r } glob('lib/PAGI/App/*.pm lib/PAGI/App/*/*.pm');
cmp_ok scalar @modules, '>', 30, 'modules found';
for my $module (@modules) {
    my $output = qx{$^X -Ilib -we 'require "$module"; print "loaded"' 2>&1};
    is $output, 'loaded', $module;
}

done_testing;
