package PAGI::App::Directory;

use strict;
use warnings;
use parent 'PAGI::App::File';

use Encode ();
use JSON::MaybeXS ();
use PAGI::App::Support::Answer qw(answer);
use PAGI::Middleware::Support::Headers qw(request_header_all);

my $JSON = JSON::MaybeXS->new(utf8 => 1, canonical => 1);

sub new {
    my ($class, %args) = @_;
    my $self = $class->SUPER::new(%args);
    $self->{show_hidden} = $args{show_hidden} ? 1 : 0;
    return $self;
}

# A file below a directory that is not there, or not inside the root, says nothing about what exists elsewhere.
sub _missing {
    my ($self, $scope, $send, $path) = @_;
    my ($name) = PAGI::App::File::_spellings($path);
    my $inside = defined $self->_inside($self->_target($name));
    return PAGI::App::File::_refusal($scope, $send, $inside ? 404 : 403);
}

sub _listing {
    my ($self, $scope, $send, $directory, $path) = @_;
    my $real = $self->_inside($directory);
    my $entries = defined $real ? $self->_entries($real) : undef;
    return PAGI::App::File::_refusal($scope, $send, 403) unless $entries;

    my $json = grep { m{application/json}i } request_header_all($scope, 'accept');
    my $body = $json ? _json($entries) : _html($entries, $scope, $path);
    return answer($scope, $send, 200,
        [['content-type', $json ? 'application/json' : 'text/html'], ['content-length', length $body]],
        $scope->{method} eq 'HEAD' ? '' : $body);
}

# Directories first, then by name. Links that would be refused are not shown.
sub _entries {
    my ($self, $directory) = @_;
    opendir my $handle, $directory or return undef;
    my @entries;
    while (defined(my $name = readdir $handle)) {
        next if $name eq '.' || ($name =~ /\A\./ && !$self->{show_hidden});
        my $file = "$directory/$name";
        next if $name ne '..' && -l $file && !defined $self->_inside($file);
        next if $name eq '..' && $directory eq $self->{root};
        my @stat = stat $file or next;
        push @entries, { name => $name, is_dir => -d _ ? 1 : 0, size => $stat[7], mtime => $stat[9] };
    }
    closedir $handle;
    return [sort { $b->{is_dir} <=> $a->{is_dir} || $a->{name} cmp $b->{name} } @entries];
}

sub _json {
    my ($entries) = @_;
    return $JSON->encode([map { +{ %$_, name => _characters($_->{name}) } } @$entries]);
}

sub _characters {
    my ($bytes) = @_;
    my $copy = $bytes;
    my $text = eval { Encode::decode('UTF-8', $copy, Encode::FB_CROAK) };
    return $text // $bytes;
}

sub _html {
    my ($entries, $scope, $path) = @_;
    my ($below) = PAGI::App::File::_spellings($path);
    utf8::encode(my $root = $scope->{root_path} // '');
    $below =~ s{/+\z}{};
    my $here = length $below ? "/$below/" : '/';
    my $title = _html_escape('Index of ' . $root . $here);

    my @rows;
    push @rows, _row($root . ($here =~ s{[^/]+/\z}{}r), '../', '-') if length $below;
    for my $entry (@$entries) {
        next if $entry->{name} eq '..';
        my $slash = $entry->{is_dir} ? '/' : '';
        push @rows, _row("$root$here$entry->{name}$slash", "$entry->{name}$slash", $slash ? '-' : _size($entry->{size}));
    }
    return <<"END";
<!DOCTYPE html>
<html>
<head><meta charset="utf-8"><title>$title</title></head>
<body>
<h1>$title</h1>
<table>
<tr><th>Name</th><th>Size</th></tr>
@{[join "\n", @rows]}
</table>
</body>
</html>
END
}

sub _row {
    my ($target, $text, $size) = @_;
    return '<tr><td><a href="' . _html_escape(_url_encode($target)) . '">' . _html_escape($text) . "</a></td><td>$size</td></tr>";
}

sub _html_escape {
    my ($text) = @_;
    return '' unless defined $text;
    $text =~ s/&/&amp;/g;
    $text =~ s/</&lt;/g;
    $text =~ s/>/&gt;/g;
    $text =~ s/"/&quot;/g;
    $text =~ s/'/&#39;/g;
    return $text;
}

sub _url_encode {
    my ($text) = @_;
    return '' unless defined $text;
    utf8::encode($text) if $text =~ /[^\x00-\xff]/;
    $text =~ s{([^A-Za-z0-9\-_.~/])}{sprintf '%%%02X', ord $1}ge;
    return $text;
}

sub _size {
    my ($size) = @_;
    return '0' unless $size;
    my @units = qw(B KB MB GB);
    while ($size >= 1024 && @units > 1) {
        $size /= 1024;
        shift @units;
    }
    return sprintf '%.1f %s', $size, $units[0];
}

1;

__END__

=encoding utf-8

=head1 NAME

PAGI::App::Directory - static files, with listings

=head1 SYNOPSIS

    use strict;
    use warnings;
    use PAGI::App::Directory;

    my $app = PAGI::App::Directory->new(root => '.', index => [])->to_app;

=head1 DESCRIPTION

A L<PAGI::App::File> that lists directories without an index file. Its rules for methods and paths hold here too. A listing is a
JSON array when C<Accept> names C<application/json>:

    [{"is_dir":1,"mtime":1700000000,"name":"sub","size":4096}, ...]

with sizes in bytes and times in seconds since the epoch, else an HTML page in UTF-8. Directories come first, then
names in byte order. Symbolic links that lead out of the root are not listed.

A directory that may not be read is 403, and so is a path whose parent directory does not exist.

=head1 METHODS

=head2 new

The options of L<PAGI::App::File/new>, and

=over

=item show_hidden

True: list names that begin with a dot. They are still not served. Default 0.

=back

=head2 to_app

The app.

=cut
