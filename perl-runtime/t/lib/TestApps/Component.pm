package TestApps::Component;

# to_app as a class method and on an object with a configurable body.

use strict;
use warnings;

use Future::AsyncAwait;

sub new {
    my ($class, %args) = @_;
    return bless { body => $args{body} // 'component' }, $class;
}

sub to_app {
    my ($self) = @_;
    my $body = ref $self ? $self->{body} : 'component';
    return async sub {
        my ($scope, $receive, $send) = @_;
        await $send->({ type => 'http.response.start', status => 200, headers => [['content-type', 'text/plain']] });
        await $send->({ type => 'http.response.body', body => $body });
    };
}

1;
