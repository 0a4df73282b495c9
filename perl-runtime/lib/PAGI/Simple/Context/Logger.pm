package PAGI::Simple::Context::Logger;

use strict;
use warnings;

use POSIX ();
use Time::HiRes ();

sub new {
    my ($class, $scope) = @_;
    return bless { where => join(' ', map { defined $_ ? $_ : '-' } @$scope{qw(method path)}) }, $class;
}

for my $level (qw(debug info warn error)) {
    no strict 'refs';
    *$level = sub { $_[0]->_write($level, $_[1]) };
}

sub _write {
    my ($self, $level, $message) = @_;
    my $now = Time::HiRes::time();
    my $line = sprintf '[%s.%03d] [%s] %s - %s', POSIX::strftime('%Y-%m-%d %H:%M:%S', localtime $now),
        ($now - int $now) * 1000, uc $level, $self->{where}, defined $message ? $message : '';
    # a client's path must not begin a new line
    $line =~ s/[\r\n]+\z//;
    $line =~ s/([\x00-\x08\x0a-\x1f\x7f])/sprintf '\\x%02X', ord $1/ge;
    utf8::encode($line) if utf8::is_utf8($line);
    print STDERR "$line\n";
    return $self;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::Context::Logger - the logger of a request

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple::Context::Logger;

    open STDERR, '>&', \*STDOUT or die $!;
    my $log = PAGI::Simple::Context::Logger->new({ method => 'GET', path => '/users' });
    $log->info('3 users found');    # [2026-01-31 12:00:00.123] [INFO] GET /users - 3 users found

=head1 DESCRIPTION

What C<< $c->log >> returns. Lines go to STDERR; control characters are written as C<\xHH>, text as UTF-8.

=head1 METHODS

=head2 new

    my $log = PAGI::Simple::Context::Logger->new($scope);

=head2 debug, info, warn, error

    $log->error($message);

Write a line. Return the logger.

=cut
