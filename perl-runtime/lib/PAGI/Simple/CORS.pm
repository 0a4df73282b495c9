package PAGI::Simple::CORS;

use strict;
use warnings;

use Carp qw(croak);

our @CARP_NOT = qw(PAGI::Simple PAGI::Simple::Context PAGI::Simple::Context::Response);

my %DEFAULT = (
    origins     => ['*'],
    methods     => [qw(GET POST PUT DELETE PATCH OPTIONS)],
    headers     => [qw(Content-Type Authorization X-Requested-With)],
    expose      => [],
    credentials => 0,
    max_age     => 86400,
);

sub new {
    my ($class, %options) = @_;
    my @unknown = grep { !exists $DEFAULT{$_} } sort keys %options;
    croak 'Unknown CORS options: ' . join(', ', @unknown) . '. Valid: ' . join(', ', sort keys %DEFAULT) if @unknown;
    my $self = bless { %DEFAULT, %options }, $class;
    $self->{$_} = [ $self->{$_} ] for grep { !ref $self->{$_} } qw(origins methods headers expose);
    return $self;
}

sub for_response {
    my ($class, %options) = @_;
    my $origin = delete $options{origin};
    my $self = $class->new(
        methods => [qw(GET POST PUT DELETE PATCH)],
        headers => [qw(Content-Type Authorization)],
        (defined $origin ? (origins => ref $origin ? $origin : [$origin]) : ()),
        %options,
    );
    $self->{preflight_with_response} = 1;
    return $self;
}

sub _origin {
    my ($scope) = @_;
    for my $pair (@{ $scope->{headers} || [] }) {
        return $pair->[1] if lc $pair->[0] eq 'origin';
    }
    return undef;
}

sub _any { return scalar grep { $_ eq '*' } @{ $_[0]{origins} } }

sub is_allowed {
    my ($self, $scope) = @_;
    my $origin = _origin($scope);
    return 0 unless defined $origin && length $origin;
    return $self->_any || grep({ $_ eq $origin } @{ $self->{origins} }) ? 1 : 0;
}

sub response_headers {
    my ($self, $scope) = @_;
    return unless $self->is_allowed($scope);
    my $open = $self->_any && !$self->{credentials};
    my @headers = (
        [ 'access-control-allow-origin', $open ? '*' : _origin($scope) ],
        [ 'vary', 'Origin' ],
    );
    push @headers, [ 'access-control-allow-credentials', 'true' ] if $self->{credentials};
    push @headers, [ 'access-control-expose-headers', join ', ', @{ $self->{expose} } ] if @{ $self->{expose} };
    push @headers, $self->_preflight_only if $self->{preflight_with_response} && ($scope->{method} || '') eq 'OPTIONS';
    return @headers;
}

sub preflight_headers {
    my ($self, $scope) = @_;
    return ($self->response_headers($scope), $self->_preflight_only);
}

sub _preflight_only {
    my ($self) = @_;
    return (
        [ 'access-control-allow-methods', join ', ', @{ $self->{methods} } ],
        [ 'access-control-allow-headers', join ', ', @{ $self->{headers} } ],
        [ 'access-control-max-age', $self->{max_age} ],
    );
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::CORS - cross-origin rules

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple;

    my $app = PAGI::Simple->new(name => 'API', quiet => 1);
    $app->use_cors(origins => ['https://app.example.org'], credentials => 1);
    $app->get('/public' => sub { my ($c) = @_; $c->cors(origin => '*')->json({ ok => 1 }) });

=head1 DESCRIPTION

With C<use_cors> every OPTIONS request with an allowed C<Origin> is answered 204 before routing, and responses of routes get the CORS
headers. Without an C<Origin>, or with one that is not allowed, nothing is added. All origins without credentials are
C<*>; otherwise the origin of the request is echoed, with C<Vary: Origin>.

=head1 METHODS

=head2 new

Options: C<origins> (arrayref or string, default C<*>), C<methods>, C<headers>, C<expose> (arrayrefs), C<credentials> (0), C<max_age> in
seconds (86400). Croaks C<Unknown CORS options: ...>.

=head2 for_response

For C<< $c->cors >>: the same, with C<origin> instead of C<origins> and shorter default lists. The preflight headers are added when the
method is OPTIONS.

=head2 is_allowed, response_headers, preflight_headers

    my @pairs = $cors->response_headers($scope);

=cut
