package PAGI::Middleware::JSONBody;

use strict;
use warnings;
use parent 'PAGI::Middleware';

use Future::AsyncAwait;
use JSON::MaybeXS ();
use PAGI::Middleware::Support::Headers qw(request_header);
use PAGI::Middleware::Support::Reply qw(reply);
use PAGI::Middleware::Support::RequestBody qw(read_body after_body);

# RFC 8259 allows any value at the top; the backends differ in their default.
my $JSON = JSON::MaybeXS->new(utf8 => 1, canonical => 1, allow_nonref => 1);

sub _init {
    my ($self, $config) = @_;
    $self->{max_size} = $config->{max_size} // 1048576;
    my $types = $config->{content_types} // [ 'application/json', 'application/json; charset=utf-8' ];
    $self->{types} = { map { _media_type($_) => 1 } ref $types eq 'ARRAY' ? @$types : $types };
    return;
}

sub wrap {
    my ($self, $app) = @_;
    return sub {
        my ($scope, $receive, $send) = @_;
        return $app->($scope, $receive, $send)
            if $scope->{type} ne 'http' || !$self->_is_json($scope);
        return $self->_parsed($app, $scope, $receive, $send);
    };
}

async sub _parsed {
    my ($self, $app, $scope, $receive, $send) = @_;
    my $got = await read_body($scope, $receive, $self->{max_size});
    return if $got->{disconnected};    # half a document for nobody
    return await _refuse($scope, $send, 413, 'Request body too large') if $got->{too_large};

    my $data;
    if (!eval { $data = $JSON->decode($got->{body}); 1 }) {
        (my $reason = $@) =~ s/ at \S+ line \d+\.?\n?\z//;
        return await _refuse($scope, $send, 400, "Invalid JSON: $reason");
    }
    return await $app->(
        { %$scope, 'pagi.parsed_body' => $data, 'pagi.raw_body' => $got->{body} },
        after_body($receive), $send,
    );
}

sub _is_json {
    my ($self, $scope) = @_;
    my $type = _media_type(request_header($scope, 'content-type') // return 0);
    return $self->{types}{$type} || $type =~ m{\Aapplication/.+\+json\z};
}

sub _media_type {
    my ($value) = @_;
    $value =~ s/;.*//s;
    $value =~ s/\s+//g;
    return lc $value;
}

sub _refuse {
    my ($scope, $send, $status, $message) = @_;
    my $body = $JSON->encode({ error => $message });
    return reply($scope, $send, $status,
        [ [ 'Content-Type', 'application/json' ], [ 'Content-Length', length $body ] ], $body);
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::JSONBody - parse JSON request bodies

=head1 SYNOPSIS

    use PAGI::Middleware::Builder;

    my $app = builder {
        enable 'JSONBody', max_size => 65536;
        sub {
            my ($scope, $receive, $send) = @_;
            my $name = $scope->{'pagi.parsed_body'}{name};
            ...
        };
    };

=head1 DESCRIPTION

Acts on C<http> scopes of any method whose media type is listed or C<application/*+json>. The whole
body is read; the application finds the data as C<pagi.parsed_body> (text as characters) and the bytes as
C<pagi.raw_body>. Its C<$receive> gives one empty final C<http.request> and then what the server says.

Too large: 413 C<{"error":"Request body too large"}>. Not JSON, or empty: 400
C<{"error":"Invalid JSON: ..."}>. In both cases, and when the client goes away before the body is complete,
the application is not called.

=head1 OPTIONS

=over 4

=item max_size

Bytes, default 1048576.

=item content_types

Array reference of media types, default C<application/json>. Parameters after C<;> do not matter.

=back

=cut
