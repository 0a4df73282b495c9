package SimpleServices::Service::Counter;
use v5.36;
use parent 'PAGI::Simple::Service::PerApp';
sub next ($self) { return $self->{start} + $self->{n}++ }
1;
