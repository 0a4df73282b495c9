package PAGI::Middleware::Head;

use strict;
use warnings;
use parent 'PAGI::Middleware';

use Future;

sub wrap {
    my ($self, $app) = @_;
    return sub {
        my ($scope, $receive, $send) = @_;
        return $app->($scope, $receive, $send)
            if $scope->{type} ne 'http' || ($scope->{method} // '') ne 'HEAD';

        return $app->({ %$scope, method => 'GET' }, $receive, sub { _bodiless($send, $_[0]) });
    };
}

sub _bodiless {
    my ($send, $event) = @_;
    my $type = ref $event eq 'HASH' ? $event->{type} // '' : '';
    if ($type eq 'http.response.body') {
        # BODY-3: a file or fh body is final whatever "more" says.
        my $final = !$event->{more} || defined $event->{file} || defined $event->{fh};
        return $final
            ? $send->({ type => 'http.response.body', body => '', more => 0 })
            : Future->done;
    }
    return Future->done if $type eq 'http.response.trailers';
    # TRLR-3: a promise of trailers that never come would leave the response open.
    if ($type eq 'http.response.start' && $event->{trailers}) {
        my %start = %$event;
        delete $start{trailers};
        return $send->(\%start);
    }
    return $send->($event);
}

1;

__END__

=encoding utf8

=head1 NAME

PAGI::Middleware::Head - answer HEAD through the GET of the application

=head1 SYNOPSIS

    use PAGI::Middleware::Builder;

    my $app = builder {
        enable 'Head';
        sub { my ($scope, $receive, $send) = @_; ... };
    };

=head1 DESCRIPTION

Acts on C<http> scopes with the method HEAD. The application sees a GET; its headers go out as they are,
its body and trailers do not. Enable it outside C<ContentLength>, C<ETag> and C<GZip>, which work on the
body. No options.

=cut
