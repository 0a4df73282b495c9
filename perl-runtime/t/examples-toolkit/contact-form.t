use strict;
use warnings;
use Test2::V0;
use File::Temp;
use FindBin;
use lib "$FindBin::Bin/../lib", "$FindBin::Bin/../request/lib";
use PAGITest::Backends qw(each_backend);
use RequestHelper qw(multipart);

my $uploads = File::Temp->newdir;
my %headers = ('Content-Type' => 'multipart/form-data; boundary=xyz');
my @good    = ([ name => "Ad\xc3\xa9" ], [ email => 'a@b' ], [ message => 'x' x 200 ]);

sub stored { opendir my $handle, "$uploads/files" or die "$uploads/files: $!"; return grep { !/^\./ } readdir $handle }

each_backend("$FindBin::Bin/../../../examples/toolkit/contact-form/app.pl", sub {
    my ($client) = @_;
    unlink map { "$uploads/files/$_" } stored();
    my $submit = sub { $client->post('/submit', headers => {%headers}, body => multipart(@_)) };

    my $page = $client->get('/');
    is [ $page->status, $page->content_type ], [ 200, 'text/html; charset=utf-8' ], 'the page';
    like $page->text, qr/<form/, 'with the form';
    is [ $client->get('/submit')->status, $client->get('/other')->status ], [ 405, 404 ], 'nothing else';

    my $answer = $submit->(@good, [ subscribe => 'yes' ], [ attachment => 'hello', '../../etc/passwd', 'text/plain' ]);
    is $answer->status, 200, 'accepted';
    my $file = $answer->json->{data}{attachment};
    like $file, qr/\A\d+-\d{6}\.txt\z/, 'a name of its own';
    is [ stored() ], [$file], 'stored';
    is $answer->json, {
        success => 1, message => "Thank you, Ad\x{e9}! We have received your message.",
        data => { name => "Ad\x{e9}", email => 'a@b', subject => 'general', message => 'x' x 100, subscribe => 1, attachment => $file },
    }, 'answer';
    is $submit->(@good, [ attachment => '', '', 'application/octet-stream' ])->json->{data}{attachment}, undef, 'no file chosen';
    is $client->post('/submit', form => { name => 'n', email => 'a@b', message => 'm', subject => 's' })->json->{data}{subject}, 's', 'urlencoded';

    for my $case (
        [ [ [ x => 1 ] ], 'Name is required', 'Email is required', 'Message is required' ],
        [ [ [ name => ' ' ], [ email => 'ab' ], [ message => 'm' ] ], 'Name is required', 'Invalid email format' ],
        [ [ @good, [ attachment => 'x', 'a.exe', 'application/x-msdownload' ] ], 'File type not allowed: application/x-msdownload' ],
        [ [ @good, [ attachment => 'x' x (5 * 1024 * 1024 + 1), 'a.txt', 'text/plain' ] ], 'File too large (max 5MB)' ],
    ) {
        my ($parts, @errors) = @$case;
        my $answer = $submit->(@$parts);
        is [ $answer->status, $answer->json ], [ 400, { success => 0, errors => \@errors } ], $errors[0];
    }
    is $client->post('/submit', headers => {%headers}, body => 'rubbish')->json->{errors}, ['The form could not be read'], 'a broken body';
    is [ stored() ], [$file], 'refused attachments are not stored';
}, lifespan => 1, env => { CONTACT_FORM_UPLOADS => "$uploads/files" });

done_testing;
