package PAGI::Middleware::ConditionalGet;

use strict;
use warnings;
use parent 'PAGI::Middleware';

use Future;
use PAGI::Middleware::Support::Headers qw(request_header request_header_all response_header);
use PAGI::Middleware::Support::Reply qw(in_turn);
use PAGI::Middleware::Support::Validators qw(etag_listed not_modified_since);

# RFC 9110 15.4.5: what a 304 may carry.
my %KEPT = map { $_ => 1 }
    qw(cache-control content-location date etag expires last-modified vary);

sub wrap {
    my ($self, $app) = @_;
    return sub {
        my ($scope, $receive, $send) = @_;
        return $app->($scope, $receive, $send)
            if $scope->{type} ne 'http' || ($scope->{method} // '') !~ /\A(?:GET|HEAD)\z/;

        my $tags = join ', ', request_header_all($scope, 'if-none-match');
        my $since = request_header($scope, 'if-modified-since');
        return $app->($scope, $receive, $send) if !length $tags && !defined $since;

        my $answered = 0;
        return $app->($scope, $receive, sub {
            my ($event) = @_;
            return $send->($event) if ref $event ne 'HASH';
            # The client has its answer: what the application still says is dropped.
            return Future->done if $answered;
            return $send->($event)
                if ($event->{type} // '') ne 'http.response.start' || !_unchanged($event, $tags, $since);
            $answered = 1;
            return in_turn($send,
                {
                    type    => 'http.response.start',
                    status  => 304,
                    headers => [ grep { $KEPT{ lc $_->[0] } } @{ $event->{headers} || [] } ],
                },
                { type => 'http.response.body', body => '', more => 0 },
            );
        });
    };
}

sub _unchanged {
    my ($start, $tags, $since) = @_;
    return 0 if ($start->{status} // '') !~ /\A2\d\d\z/a;
    my $etag = response_header($start, 'etag');
    return etag_listed($tags, $etag) if length $tags && defined $etag;
    my $changed = response_header($start, 'last-modified');
    return defined $since && defined $changed && not_modified_since($since, $changed);
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::ConditionalGet - 304 for what the client already has

=head1 SYNOPSIS

    use PAGI::Middleware::Builder;

    my $app = builder {
        enable 'ConditionalGet';    # before ETag, that is outside it
        enable 'ETag';
        sub { my ($scope, $receive, $send) = @_; ... };
    };

=head1 DESCRIPTION

Acts on C<http> scopes with GET or HEAD and C<If-None-Match> or C<If-Modified-Since>, when the application answers
with a 2xx status.

If the response has an C<ETag> and the request C<If-None-Match>, the tags decide (weak comparison, lists, C<*>);
otherwise C<Last-Modified> and C<If-Modified-Since> do. A match becomes a 304 with only C<cache-control>,
C<content-location>, C<date>, C<etag>, C<expires>, C<last-modified> and C<vary> of the headers, sent at once. The
application still runs to its end; what it sends is dropped. No options.

It must be B<outside> L<PAGI::Middleware::ETag> (enabled before it): the other way round the tag is not there
yet, and no 304 ever happens.

=cut
