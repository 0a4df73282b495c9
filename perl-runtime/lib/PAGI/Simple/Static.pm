package PAGI::Simple::Static;

use strict;
use warnings;

use Carp qw(croak);

our @CARP_NOT = qw(PAGI::Simple);

my %OPTION = map { $_ => 1 } qw(root index show_hidden default_type listing);

sub new {
    my ($class, $prefix, $options) = @_;
    my %options = ref $options eq 'HASH' ? %$options : (root => $options);
    my @unknown = grep { !$OPTION{$_} } sort keys %options;
    croak 'Unknown options to static: ' . join(', ', @unknown) . '. Valid: ' . join(', ', sort keys %OPTION) if @unknown;
    croak 'static needs a directory' unless defined $options{root} && length $options{root};

    $prefix = "/$prefix" unless $prefix =~ m{\A/};
    $prefix =~ s{/+\z}{};
    my $app_class = delete $options{listing} ? 'PAGI::App::Directory' : 'PAGI::App::File';
    (my $file = "$app_class.pm") =~ s{::}{/}g;
    require $file;
    return bless { prefix => $prefix, app => $app_class->new(%options)->to_app }, $class;
}

sub covers {
    my ($self, $path) = @_;
    return $path eq $self->{prefix} || index($path, "$self->{prefix}/") == 0 ? 1 : 0;
}

sub run {
    my ($self, $scope, $receive, $send) = @_;
    my $rest = substr $scope->{path}, length $self->{prefix};
    my $root = defined $scope->{root_path} ? $scope->{root_path} : '';
    return $self->{app}->(
        { %$scope, path => length $rest ? $rest : '/', root_path => $root . $self->{prefix} }, $receive, $send,
    );
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::Static - files below a prefix

=head1 SYNOPSIS

    use strict;
    use warnings;
    use File::Temp qw(tempdir);
    use PAGI::Simple;

    my $app = PAGI::Simple->new(name => 'Demo', quiet => 1);
    $app->static('/assets' => tempdir(CLEANUP => 1));
    $app->static('/shared' => { root => tempdir(CLEANUP => 1), listing => 1 });

=head1 DESCRIPTION

What C<static> of L<PAGI::Simple> declares. The files are served by L<PAGI::App::File>, with its checks, validators and ranges; with
C<listing> by L<PAGI::App::Directory>, which shows directories without an index file.

=head1 METHODS

=head2 new

    my $static = PAGI::Simple::Static->new($prefix, $directory_or_options);

Options: C<root> (required), C<index> (default C<index.html>, C<index.htm>), C<default_type>, C<listing> (default 0), C<show_hidden> (in
listings, default 0). Croaks C<Unknown options to static: ...> and C<static needs a directory>.

=head2 covers

1 if the path is the prefix or below it.

=head2 run

    my $future = $static->run($scope, $receive, $send);

=cut
