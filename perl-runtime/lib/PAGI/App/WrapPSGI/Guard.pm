package PAGI::App::WrapPSGI::Guard;

use strict;
use warnings;

sub new {
    my ($class, $code) = @_;
    return bless { code => $code }, $class;
}

sub DESTROY {
    my ($self) = @_;
    return if ${^GLOBAL_PHASE} eq 'DESTRUCT';
    local ($@, $!, $?);
    $self->{code}->();
    return;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::WrapPSGI::Guard - notice when something is dropped

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::App::WrapPSGI::Guard;

    my $guard = PAGI::App::WrapPSGI::Guard->new(sub { print "dropped\n" });
    undef $guard;

=head1 METHODS

=head2 new($code)

The code is called when the object goes away.

=cut
