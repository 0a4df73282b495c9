package SimpleServices::Service::Broken;
use parent 'PAGI::Simple::Service::PerApp';
sub init_service { die "no connection\n" }
1;
