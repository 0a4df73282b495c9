package PAGI::Simple::Home;

use strict;
use warnings;

use Carp qw(croak);
use Cwd ();
use File::Basename ();
use File::Spec;

our @CARP_NOT = qw(PAGI::Simple);

my @ROOT_SIGNS = qw(cpanfile Makefile.PL Build.PL dist.ini app.pl templates views);
my %ASSETS = (htmx => 'htmx');

# Where an application lives: the directory of the file that made it, or the distribution around its lib.
sub directory {
    my ($given, $file) = @_;
    return $given if defined $given && File::Spec->file_name_is_absolute($given);
    my $directory = Cwd::abs_path(defined $file && -e $file ? File::Basename::dirname(File::Spec->rel2abs($file)) : '.');
    return File::Spec->canonpath(File::Spec->rel2abs($given, $directory)) if defined $given;
    if (File::Basename::basename($directory) =~ /\A(?:lib|blib)\z/) {
        my $parent = File::Basename::dirname($directory);
        return $parent if grep { -e "$parent/$_" } @ROOT_SIGNS;
    }
    return $directory;
}

sub namespace_of {
    my ($name) = @_;
    my $namespace = join '', map { ucfirst lc } map { s/[^A-Za-z0-9]//gr } split /[\s\-_:]+/, defined $name ? $name : '';
    return 'App' unless length $namespace;
    return $namespace =~ /\A[0-9]/ ? "App$namespace" : $namespace;
}

sub add_lib {
    my ($directory) = @_;
    unshift @INC, $directory unless grep { $_ eq $directory } @INC;
    return;
}

sub shared_assets { return sort keys %ASSETS }

sub share_dir {
    my ($name) = @_;
    my $here = File::Basename::dirname(Cwd::abs_path(__FILE__));
    my $directory = defined $name && $ASSETS{$name} ? "$here/share/$ASSETS{$name}" : undef;
    croak "Shared asset '" . (defined $name ? $name : '') . "' not found" unless defined $directory && -d $directory;
    return $directory;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::Home - the directories of an application

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple::Home;

    print PAGI::Simple::Home::namespace_of('Live Poll'), "\n";    # LivePoll

=head1 DESCRIPTION

Functions of L<PAGI::Simple>, called with their full name.

=head1 FUNCTIONS

=head2 directory

    my $home = PAGI::Simple::Home::directory($given, $file);

An absolute C<$given> as it is; a relative one below the directory of C<$file>; without one that directory, or its parent if it is called F<lib> or
F<blib> and the parent looks like an application.

=head2 namespace_of

The words of a name, in ASCII letters and digits, each capitalised; C<App> if nothing is left, C<App...> before a digit.

=head2 add_lib

Puts a directory at the front of C<@INC>, once.

=head2 shared_assets, share_dir

The names of the bundled assets; the directory of one. Croaks C<Shared asset 'NAME' not found>.

=cut
