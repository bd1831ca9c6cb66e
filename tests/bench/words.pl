# SPDX-License-Identifier: GPL-2.0-or-later
# What a Perl program does that counts words. usage: words.pl ROUNDS
use strict;
use warnings;

for my $round (1 .. $ARGV[0]) {
	my (%count, @lines);
	push @lines, join ' ', map { "word" . ($_ * $round % 31) } $_ .. $_ + 11 for 1 .. 211;
	for my $line (@lines) {
		$count{lc $_}++ for split / /, $line;
	}
	my @rows = map { { word => $_, times => $count{$_}, letters => [split //, $_] } } sort keys %count;
	my $text = join ',', map { "$_->{word}=$_->{times}" } sort { $b->{times} <=> $a->{times} } @rows;
	$text =~ s/(\d+)=(\d+)/$2:$1/g;
}
