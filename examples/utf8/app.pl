use v5.36;
use utf8;
use Encode qw(decode encode);
use Future::AsyncAwait;

# Where characters become bytes and back: `path` is characters, `query_string`, headers and bodies are bytes.

my %greeting = (de => 'Grüß Gott', el => 'Γειά σου', ja => 'こんにちは');

# The value of a query parameter, as characters.
sub parameter ($scope, $name) {
    for my $pair (split /&/, $scope->{query_string}) {
        my ($key, $value) = split /=/, $pair, 2;
        next if $key ne $name;
        $value = ($value // '') =~ tr/+/ /r =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ger;
        return decode('UTF-8', $value);
    }
    return undef;
}

async sub app ($scope, $receive, $send) {
    die "Unsupported scope type: $scope->{type}\n" if $scope->{type} ne 'http';

    my $name     = parameter($scope, 'name') // 'world';
    my $language = substr $scope->{path}, 1;
    my $text     = ($greeting{$language} // 'Hello') . ", $name! ("
        . length($name) . " characters, path $scope->{path})\n";

    # content-length counts bytes: encode first.
    my $body = encode('UTF-8', $text);
    await $send->({
        type    => 'http.response.start',
        status  => 200,
        headers => [ [ 'content-type', 'text/plain; charset=utf-8' ], [ 'content-length', length $body ] ],
    });
    await $send->({ type => 'http.response.body', body => $body });
}
