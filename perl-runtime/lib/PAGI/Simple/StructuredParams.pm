package PAGI::Simple::StructuredParams;

use strict;
use warnings;

use Carp qw(croak);
use Hash::MultiValue;
use PAGI::Simple::Exception;
use Scalar::Util qw(blessed);

our @CARP_NOT = qw(PAGI::Simple::Context);

# A client chooses the index, and with it how much memory the array takes.
our $MAX_INDEX = 1000;
our $MAX_DEPTH = 20;

sub new {
    my ($class, %args) = @_;
    my $values = $args{multi_value};
    if (!$values) {
        my %params = %{ $args{params} || {} };
        $values = Hash::MultiValue->new(map { my $name = $_; map { $name => $_ } ref $params{$name} eq 'ARRAY' ? @{ $params{$name} } : $params{$name} } sort keys %params);
    }
    return bless {
        values => $values, source_type => $args{source_type}, context => $args{context},
        namespace => undef, rules => [], skip => [], required => [],
    }, $class;
}

sub source_type { return $_[0]{source_type} }

sub namespace {
    my ($self, @prefix) = @_;
    return $self->{namespace} unless @prefix;
    $self->{namespace} = $prefix[0];
    return $self;
}

sub namespace_for {
    my ($self, $thing) = @_;
    my $class = blessed $thing || $thing;
    if (!ref $thing && !$thing->can('model_name')) {
        (my $file = "$class.pm") =~ s{::}{/}g;
        eval { require $file };
    }
    croak "$class does not provide model_name with a param_key" unless $thing->can('model_name');
    my $name = $thing->model_name;
    croak "$class does not provide model_name with a param_key" unless blessed $name && $name->can('param_key');
    return $self->namespace($name->param_key);
}

sub permitted { my ($self, @rules)  = @_; push @{ $self->{rules} }, @rules;     return $self }
sub skip      { my ($self, @fields) = @_; push @{ $self->{skip} }, @fields;     return $self }
sub required  { my ($self, @fields) = @_; push @{ $self->{required} }, @fields; return $self }

# namespace -> nest -> permit -> skip -> require
sub to_hash {
    my ($self) = @_;
    my $data = $self->_nested;
    $data = _permit($data, @{ $self->{rules} }) if @{ $self->{rules} };
    # every value was kept as a list up to here, for the rules that want lists
    $data = _last_values($data);
    $data = _skip($data, { map { $_ => 1 } @{ $self->{skip} } }) if @{ $self->{skip} };
    my @missing = grep { !defined $data->{$_} || (!ref $data->{$_} && $data->{$_} eq '') } @{ $self->{required} };
    PAGI::Simple::Exception->throw(status => 400, message => 'Missing required parameters: ' . join(', ', @missing)) if @missing;
    return $data;
}

# Leaves are [\@values] with a marker class, so that they cannot be taken for arrays of the client's.
sub _nested {
    my ($self) = @_;
    my $prefix = defined $self->{namespace} && length $self->{namespace} ? "$self->{namespace}." : '';
    my $data = {};
    my %appended;
    my @keys = do { my %seen; grep { !$seen{$_}++ } $self->{values}->keys };
    my @plain = grep { !/\[\]/ } @keys;
    # what is appended comes after the highest explicit index, wherever it stands in the form
    for my $key (@plain, grep { /\[\]/ } @keys) {
        next if length $prefix && index($key, $prefix) != 0;
        my $steps = _steps(substr $key, length $prefix) or next;
        my @values = $self->{values}->get_all($key);
        if (grep { !defined } @$steps) { _store($data, $steps, [$_]) for @values }
        else                           { _store($data, $steps, \@values) }
    }
    return $data;
}

# "a.b[0].c[]" becomes (['a'], ['b'], 0, ['c'], undef): names in references, indexes plain, undef to append.
sub _steps {
    my ($key) = @_;
    my @steps;
    for my $part (split /\./, $key, -1) {
        my ($name, $brackets) = $part =~ /\A([^\[\]]+)((?:\[[0-9]*\])*)\z/ or return undef;
        push @steps, [$name];
        push @steps, map { length $_ ? $_ + 0 : undef } $brackets =~ /\[([0-9]*)\]/g;
    }
    return undef if @steps > $MAX_DEPTH || grep { defined && !ref && $_ > $MAX_INDEX } @steps;
    return \@steps;
}

sub _store {
    my ($data, $steps, $values) = @_;
    my $place = \$data;
    for my $step (@$steps) {
        if (ref $step) {
            $$place = {} unless ref $$place eq 'HASH';
            $place = \$$place->{ $step->[0] };
        }
        else {
            $$place = [] unless ref $$place eq 'ARRAY';
            my $index = defined $step ? $step : scalar @{ $$place };
            return if $index > $MAX_INDEX;
            $place = \$$place->[$index];
        }
    }
    $$place = bless [@$values], 'PAGI::Simple::StructuredParams::Leaf';
    return;
}

sub _is_leaf { return ref $_[0] eq 'PAGI::Simple::StructuredParams::Leaf' }

# 'f' | 'f', [ rules ] | +{ f => [] } | +{ f => [ rules ] }
sub _permit {
    my ($data, @rules) = @_;
    return {} unless ref $data eq 'HASH';
    my %kept;
    while (@rules) {
        my $rule = shift @rules;
        if (ref $rule eq 'HASH') {
            for my $field (keys %$rule) {
                next unless exists $data->{$field};
                my $list = _permit_list($data->{$field}, @{ $rule->{$field} });
                $kept{$field} = $list if $list;
            }
        }
        elsif (ref $rules[0] eq 'ARRAY') {
            my $inner = shift @rules;
            $kept{$rule} = _permit($data->{$rule}, @$inner) if ref $data->{$rule} eq 'HASH';
        }
        elsif (_is_leaf($data->{$rule})) {
            $kept{$rule} = $data->{$rule};
        }
    }
    return \%kept;
}

sub _permit_list {
    my ($value, @rules) = @_;
    if (!@rules) {
        return [ @$value ] if _is_leaf($value);
        return undef unless ref $value eq 'ARRAY';
        return [ map { _is_leaf($_) ? @$_ : () } @$value ];
    }
    return undef unless ref $value eq 'ARRAY';
    return [ map { ref $_ eq 'HASH' ? _permit($_, @rules) : undef } @$value ];
}

sub _last_values {
    my ($data) = @_;
    return $data->[-1] if _is_leaf($data);
    return { map { $_ => _last_values($data->{$_}) } keys %$data } if ref $data eq 'HASH';
    return [ map { _last_values($_) } @$data ] if ref $data eq 'ARRAY';
    return $data;
}

sub _skip {
    my ($data, $fields) = @_;
    if (ref $data eq 'ARRAY') {
        my @kept;
        for my $item (@$data) {
            next if ref $item eq 'HASH' && grep { $item->{$_} } grep { exists $item->{$_} } keys %$fields;
            push @kept, _skip($item, $fields);
        }
        return [ map { ref $_ eq 'HASH' ? _without($_, $fields) : $_ } @kept ];
    }
    return { map { $_ => _skip($data->{$_}, $fields) } keys %$data } if ref $data eq 'HASH';
    return $data;
}

sub _without {
    my ($item, $fields) = @_;
    return { map { $_ => $item->{$_} } grep { !$fields->{$_} } keys %$item };
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::StructuredParams - nested parameters, and only the permitted ones

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::Simple::StructuredParams;

    my $order = PAGI::Simple::StructuredParams->new(params => {
        'order.name'            => 'Ann',
        'order.admin'           => 1,
        'order.lines[0].item'   => 'tea',
        'order.lines[1].item'   => 'milk',
        'order.lines[1]._delete' => 1,
    })->namespace('order')
      ->permitted('name', +{ lines => [ 'item', '_delete' ] })
      ->skip('_delete')
      ->required('name')
      ->to_hash;

    print "$order->{name}: ", join(' ', map { $_->{item} } @{ $order->{lines} }), "\n";    # Ann: tea

=head1 DESCRIPTION

From C<< $c->structured_body >>, C<< $c->structured_query >> or C<< $c->structured_data >>. Keys: C<a.b.c> nests hashes, C<a[0].b> indexes
arrays (gaps are undef), C<a[]> appends after the highest index. Indexes above 1000, more than 20 levels and malformed keys are ignored. Of repeated keys
the last value counts, except where a rule wants an array.

=head1 METHODS

The first six return the object.

=head2 new

C<multi_value> (a L<Hash::MultiValue>) or C<params> (a hashref); C<source_type>, C<context>.

=head2 namespace

Keeps only the keys that begin with the prefix and a dot, and removes it. Without an argument, the prefix.

=head2 namespace_for

The prefix C<< ->model_name->param_key >> of a class or object. Croaks C<CLASS does not provide model_name ...>.

=head2 permitted

    $params->permitted('name', address => [ 'street', 'town' ], +{ tags => [] }, +{ lines => [ 'item' ] });

Scalars, a nested hash, an array of scalars (all repeated values), an array of hashes (indexes stay). Adds up over calls; without any rule everything passes.

=head2 skip

Drops array elements in which one of the fields is true, and the field from the others.

=head2 required

Top-level fields that must be there and not empty (C<0> and blanks are fine).

=head2 source_type

C<body>, C<query>, C<data> or undef.

=head2 to_hash

The result. Dies with a L<PAGI::Simple::Exception> of status 400, C<Missing required parameters: a, b>.

=cut
