package PAGI::Simple::Request;

use strict;
use warnings;

use parent 'PAGI::Request';

use Carp qw(croak);
use Future;
use Future::AsyncAwait;
use Hash::MultiValue;
use JSON::MaybeXS ();
use PAGI::Request::Query;
use PAGI::Simple::Callback;
use PAGI::Simple::Exception;

our @CARP_NOT = qw(PAGI::Simple::Context PAGI::Request);

my $JSON = JSON::MaybeXS->new(utf8 => 1, allow_nonref => 1);
my $MAX_BODY = 10 * 1024 * 1024;

sub new {
    my ($class, $scope, $receive, $path_params, %limits) = @_;
    my $self = $class->SUPER::new($scope, $receive);
    $self->{path_params} = $path_params;
    $self->{limits} = \%limits;
    return $self;
}

sub for_context {
    my ($class, $c) = @_;
    my $app = $c->{app};
    return $class->new(@$c{qw(scope receive path_params)}, $app ? %{ $app->{limits} } : ());
}

# --- properties

sub method { my $method = $_[0]{scope}{method}; return defined $method ? $method : '' }
sub path   { my $path = $_[0]{scope}{path};     return defined $path   ? $path   : '/' }

sub raw_query_string { return $_[0]->query_string }

sub headers {
    my ($self) = @_;
    return $self->{multi} ||= Hash::MultiValue->new(map { lc $_->[0], $_->[1] } @{ $self->{scope}{headers} || [] });
}

# The first of repeated headers, as a proxy in front would see it.
sub header {
    my ($self, $name) = @_;
    my $wanted = lc $name;
    for my $pair (@{ $self->{scope}{headers} || [] }) {
        return $pair->[1] if lc $pair->[0] eq $wanted;
    }
    return undef;
}

sub header_utf8 {
    my ($self, $name, %options) = @_;
    my $mode = PAGI::Request::Query::mode('header_utf8', %options);
    my $value = $self->header($name);
    return defined $value ? PAGI::Request::Query::decode($value, $mode) : undef;
}

sub _field { my $value = $_[0]->header($_[1]); return defined $value ? $value : '' }

sub content_type { return $_[0]->_field('content-type') }
sub host         { return $_[0]->_field('host') }
sub user_agent   { return $_[0]->_field('user-agent') }

sub content_length {
    my $value = $_[0]->header('content-length');
    return defined $value && $value =~ /\A[0-9]+\z/ ? $value + 0 : undef;
}

sub is_secure { return $_[0]->scheme =~ /\A(?:https|wss)\z/ ? 1 : 0 }

sub _end { my ($self, $which, $index, $default) = @_; my $end = $self->{scope}{$which};
    return $end && defined $end->[$index] ? $end->[$index] : $default }

sub server_name { return $_[0]->_end(server => 0, '') }
sub server_port { return $_[0]->_end(server => 1, 80) }
sub client_ip   { return $_[0]->_end(client => 0, '') }
sub client_port { return $_[0]->_end(client => 1, 0) }

sub is_multipart { return $_[0]->content_type =~ m{\A\s*multipart/form-data\b}i ? 1 : 0 }
sub is_json      { return $_[0]->content_type =~ m{\A\s*application/(?:[\w.-]+\+)?json\b}i ? 1 : 0 }
sub is_form {
    my ($self) = @_;
    return $self->content_type =~ m{\A\s*application/x-www-form-urlencoded\b}i || $self->is_multipart ? 1 : 0;
}

sub path_params { return $_[0]{path_params} || $_[0]{scope}{path_params} || {} }
sub path_param  { return $_[0]->path_params->{ $_[1] } }

# --- htmx

sub _htmx_flag { return $_[0]->_field($_[1]) eq 'true' ? 1 : 0 }

sub is_htmx                      { return $_[0]->_htmx_flag('hx-request') }
sub is_boosted                   { return $_[0]->_htmx_flag('hx-boosted') }
sub htmx_boosted                 { return $_[0]->_htmx_flag('hx-boosted') }
sub htmx_history_restore_request { return $_[0]->_htmx_flag('hx-history-restore-request') }
sub htmx_target                  { return $_[0]->header('hx-target') }
sub htmx_trigger                 { return $_[0]->header('hx-trigger') }
sub htmx_trigger_name            { return $_[0]->header('hx-trigger-name') }
sub htmx_current_url             { return $_[0]->header('hx-current-url') }
sub htmx_prompt                  { return $_[0]->header('hx-prompt') }

# --- query; empty keys are dropped, and a single value is the first one

sub query {
    my ($self, %options) = @_;
    my $mode = PAGI::Request::Query::mode('query', %options);
    return $self->{"query.$mode"} ||= _without_empty_keys(PAGI::Request::Query::of_scope($self->{scope}, 'pagi.request', $mode));
}

sub _without_empty_keys {
    my ($values) = @_;
    return $values unless defined $values->get('');
    my $clone = $values->clone;
    $clone->remove('');
    return $clone;
}

sub query_param  { my ($self, $name, @options) = @_; my ($first) = $self->query(@options)->get_all($name); return $first }
sub query_params { my ($self, $name, @options) = @_; return [ $self->query(@options)->get_all($name) ] }

sub raw_query        { return $_[0]->query(raw => 1) }
sub raw_query_param  { return $_[0]->query_param($_[1], raw => 1) }
sub raw_query_params { return $_[0]->query_params($_[1], raw => 1) }

# --- cookies and negotiation

sub cookies {
    my ($self) = @_;
    return $self->{cookies} ||= do {
        require PAGI::Simple::CookieUtil;
        # HTTP/2 may split the field
        PAGI::Simple::CookieUtil::parse_cookie_header(join '; ', $self->header_all('cookie'));
    };
}

sub cookie { return $_[0]->cookies->{ $_[1] } }

sub accepts {
    my ($self) = @_;
    require PAGI::Simple::Negotiate;
    return PAGI::Simple::Negotiate->parse_accept($self->_accept);
}

sub accepts_type {
    my ($self, $type) = @_;
    require PAGI::Simple::Negotiate;
    return PAGI::Simple::Negotiate->accepts_type($self->_accept, $type);
}

sub preferred_type {
    my ($self, @types) = @_;
    require PAGI::Simple::Negotiate;
    return PAGI::Simple::Negotiate->best_match(\@types, $self->_accept);
}

# --- body

sub body {
    my ($self) = @_;
    return Future->done('') if !$self->{receive} && !$self->{scope}{'pagi.request.body.read'};
    return $self->SUPER::body;
}

sub _max_body { my $max = $_[0]{limits}{max_body_size}; return defined $max ? $max : $MAX_BODY }

async sub _read_body {
    my ($self) = @_;
    my $scope = $self->{scope};
    croak 'Body streaming already started; buffered helpers unavailable' if $scope->{'pagi.request.body.stream.created'};
    my $max = $self->_max_body;
    my $announced = $self->content_length;
    $self->_too_large($max) if $max && defined $announced && $announced > $max;

    my $body = '';
    while (1) {
        my $event = await PAGI::Simple::Callback::waitable($self->{receive}->());
        my $type = ref $event eq 'HASH' ? $event->{type} : undef;
        last if !defined $type || $type =~ /\.disconnect\z/;
        $body .= $event->{body} if defined $event->{body};
        $self->_too_large($max) if $max && length $body > $max;
        last unless $event->{more};
    }
    $scope->{'pagi.request.body'} = $body;
    $scope->{'pagi.request.body.read'} = 1;
    return $body;
}

sub _too_large {
    my ($self, $max) = @_;
    PAGI::Simple::Exception->throw(status => 413, message => "The request body is larger than $max bytes");
}

async sub json_body {
    my ($self) = @_;
    my $body = await $self->body;
    my $data;
    return $data if eval { $data = $JSON->decode($body); 1 };
    (my $reason = $@) =~ s/ at \S+ line \d+\.?\n\z//;
    PAGI::Simple::Exception->throw(status => 400, message => "Invalid JSON in the request body: $reason");
}

async sub json_body_safe {
    my ($self) = @_;
    my $body = await $self->body;
    my $data;
    return eval { $data = $JSON->decode($body); 1 } ? $data : undef;
}

async sub body_params {
    my ($self, %options) = @_;
    my $mode = PAGI::Request::Query::mode('body_params', %options);
    return $self->{"form.$mode"} ||= $self->is_form
        ? _without_empty_keys(await $self->_form($mode))
        : Hash::MultiValue->new;
}

async sub body_param {
    my ($self, $name, %options) = @_;
    my $params = await $self->body_params(%options);
    my ($first) = $params->get_all($name);
    return $first;
}

sub raw_body_params { return $_[0]->body_params(raw => 1) }
sub raw_body_param  { return $_[0]->body_param($_[1], raw => 1) }

sub body_stream {
    my ($self, %options) = @_;
    my $scope = $self->{scope};
    croak 'Body already consumed; streaming not available' if $scope->{'pagi.request.body.read'};
    croak 'Body streaming already started' if $scope->{'pagi.request.body.stream.created'};
    my %stream = map { $_ => delete $options{$_} } qw(max_bytes decode strict);
    delete $options{loop};
    croak 'Unknown options to body_stream: ' . join(', ', sort keys %options) if %options;
    @stream{qw(max_bytes limit_name)} = ($self->content_length, 'content-length')
        if !defined $stream{max_bytes} && defined $self->content_length;
    require PAGI::Simple::BodyStream;
    my $stream = PAGI::Simple::BodyStream->new(receive => $self->{receive}, %stream);
    $scope->{'pagi.request.body.stream.created'} = 1;
    return $stream;
}

# --- forms and uploads

async sub _form {
    my ($self, $mode) = @_;
    return await $self->_multipart(sub { $self->form_params($mode ? ($mode => 1) : ()) }) if $self->is_multipart;
    return await $self->form_params($mode ? ($mode => 1) : ());
}

# The limits of one multipart form, and a status for each way it can be wrong.
async sub _multipart {
    my ($self, $read) = @_;
    my $limits = $self->{limits}{upload} || {};
    my $total = defined $limits->{max_total_size} ? $limits->{max_total_size} : 50 * 1024 * 1024;
    my $receive = $self->{receive};
    my $seen = 0;
    my $form;
    my $ok = eval {
        # dies inside the parser, which then removes its temporary files
        local $self->{receive} = $receive && sub {
            return PAGI::Simple::Callback::waitable($receive->())->then(sub {
                my ($event) = @_;
                $seen += length $event->{body} if ref $event eq 'HASH' && defined $event->{body};
                return Future->fail("The form is too large (max $total bytes)\n") if $seen > $total;
                return Future->done($event);
            });
        };
        $form = $read->();
        1;
    };
    die $@ unless $ok;
    $ok = eval { $form = await $form; 1 };
    return $form if $ok;
    my $error = $@;
    die $error if ref $error || $error =~ /\ABody /;
    $error =~ s/ at \S+ line \d+\.?\n\z//;
    chomp $error;
    PAGI::Simple::Exception->throw(status => $error =~ /too large|Too many/ ? 413 : 400, message => $error);
}

sub _limits {
    my ($self, %limits) = @_;
    my $own = $self->{limits}{upload} || {};
    return (
        (defined $own->{max_file_size}    ? (max_file_size   => $own->{max_file_size})    : ()),
        (defined $own->{memory_threshold} ? (spool_threshold => $own->{memory_threshold}) : ()),
        (defined $own->{temp_dir}         ? (temp_dir        => $own->{temp_dir})         : ()),
        %limits,
    );
}

async sub uploads_all {
    my ($self) = @_;
    return $self->{uploads} ||= await $self->_read_uploads;
}

async sub _read_uploads {
    my ($self) = @_;
    return Hash::MultiValue->new unless $self->is_multipart;
    require PAGI::Simple::Upload;
    my $found = await $self->_multipart(sub { $self->SUPER::uploads });
    return Hash::MultiValue->new(map { ref $_ ? PAGI::Simple::Upload->from($_) : $_ } $found->flatten);
}

async sub uploads {
    my ($self, $field) = @_;
    my $all = await $self->uploads_all;
    return defined $field ? [ $all->get_all($field) ] : $all;
}

async sub upload {
    my ($self, $field) = @_;
    my $all = await $self->uploads_all;
    my ($first) = $all->get_all($field);
    return $first;
}

async sub has_uploads {
    my ($self) = @_;
    my $all = await $self->uploads_all;
    return scalar($all->keys) ? 1 : 0;
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::Simple::Request - the request of a context

=head1 SYNOPSIS

    use strict;
    use warnings;
    use Future;
    use PAGI::Simple::Request;

    my $scope = {
        type => 'http', method => 'POST', path => '/', query_string => 'tag=a&tag=b',
        headers => [ [ 'content-type', 'application/x-www-form-urlencoded' ] ],
    };
    my $receive = sub { Future->done({ type => 'http.request', body => 'name=Ann', more => 0 }) };
    my $req = PAGI::Simple::Request->new($scope, $receive);

    print $req->query_param('tag'), ' ', scalar @{ $req->query_params('tag') }, "\n";    # a 2
    print $req->body_param('name')->get, "\n";                                          # Ann

=head1 DESCRIPTION

C<< $c->req >>. A L<PAGI::Request> with the names and defaults of PAGI::Simple; methods that it does not change work as
described there.

Query and form values are characters, invalid UTF-8 becoming U+FFFD. C<< strict => 1 >> dies on it instead and C<< raw => 1 >> leaves bytes;
another option croaks C<Unknown options to ...>. Headers are bytes. Methods marked I<future> return a L<Future>.

=head1 CONSTRUCTORS

=head2 new

    my $req = PAGI::Simple::Request->new($scope, $receive, \%path_params, %limits);

Limits: C<max_body_size> in bytes (default 10 MiB, 0 for none) and C<upload>, a hashref of C<max_file_size> (10 MiB),
C<max_total_size> (50 MiB), C<memory_threshold> (64 KiB) and C<temp_dir>.

=head2 for_context

The request of a context, with the limits of its application.

=head1 PROPERTIES

=head2 method, path, raw_query_string

Defaults C<''>, C</> and C<''>; C<query_string> is the same as C<raw_query_string>.

=head2 headers, header, header_utf8

    my $values = $req->headers;               # Hash::MultiValue, lower-case names
    my $first  = $req->header('Accept');      # the first, or undef
    my $name   = $req->header_utf8('X-Name', strict => 1);

=head2 content_type, host, user_agent, content_length

Header values, C<''> when absent; C<content_length> is a number or undef.

=head2 is_secure, server_name, server_port, client_ip, client_port

Defaults 0, C<''>, 80, C<''>, 0.

=head2 is_multipart, is_form, is_json

By content type.

=head2 path_params, path_param

The captures of the route.

=head2 cookies, cookie

    my $theme = $req->cookie('theme');

Characters. The first of repeated names.

=head2 accepts, accepts_type, preferred_type

    my @ranges = $req->accepts;                            # [type, q], best first
    my $type   = $req->preferred_type('json', 'html');     # or undef

See L<PAGI::Simple::Negotiate>.

=head2 is_htmx, is_boosted, htmx_boosted, htmx_history_restore_request

1 if the htmx header is exactly C<true>.

=head2 htmx_target, htmx_trigger, htmx_trigger_name, htmx_current_url, htmx_prompt

The header, or undef.

=head1 QUERY

=head2 query, query_param, query_params

    my $all   = $req->query(%options);                # Hash::MultiValue
    my $first = $req->query_param($name, %options);   # or undef
    my $list  = $req->query_params($name, %options);  # arrayref

C<&> and C<;> separate, C<+> is a space, a key without C<=> is C<''>, empty keys are dropped.

=head2 raw_query, raw_query_param, raw_query_params

The same as bytes.

=head1 BODY

=head2 body

I<future>. The whole body, bytes. Fails with status 413 above the limit. A client that leaves ends it silently.

=head2 json_body, json_body_safe

I<future>. Decoded JSON. Bad JSON fails with status 400, or gives undef.

=head2 body_params, body_param, raw_body_params, raw_body_param

I<future>. Fields of an urlencoded or multipart form; C<body_param> is the first of that name. Other bodies have none.

=head2 body_stream

See L<PAGI::Simple::BodyStream>. Croaks C<Body already consumed; ...> or C<Body streaming already started>; buffered methods in turn fail
with C<Body streaming already started; buffered helpers unavailable>.

=head2 upload, uploads, uploads_all, has_uploads

    my $file  = await $req->upload('avatar');     # the first, or undef
    my $files = await $req->uploads('photos');    # arrayref
    my $all   = await $req->uploads_all;          # Hash::MultiValue

I<future>. L<PAGI::Simple::Upload> objects. A broken form fails with status 400, one above a limit with 413.

=cut
