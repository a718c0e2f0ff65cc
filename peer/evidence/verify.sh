#!/bin/sh
# Verifies the evidence in this folder: who wrote these messages to whom, by the signatures of their identity cards.
#
# Usage: sh verify.sh              believes the authorities that the evidence names, and says which ones
#        sh verify.sh TRUST.pem    believes only authorities whose certificates are in that file
#
# Needed: a POSIX shell, sha256sum, and openssl of version 1.1.1 or later (3.0 or later where a card has delegated). Nothing is written, nothing is fetched.
# Status: 0 when all is verified, any other when it is not, and then the last words say what and why.
#
# Numbers in brackets are clauses of docs/protocol.md of Sinete, version 1. The lines of proof.txt are described in docs/evidence.md.

LC_ALL=C
export LC_ALL
started=$PWD
case $0 in
*/*) CDPATH='' cd -- "${0%/*}/" ;;
esac

# The files must be those of the manifest, this one among them. This stands here and again at the end, so that whatever has
# been changed in one of the two places is found by the other.
files=$(while read -r hash file; do printf '%s ' "$file"; done <manifest.txt)
[ "$(sha256sum -- $files 2>&1 </dev/null | sha256sum)" = "$(sha256sum <manifest.txt)" ] || {
	echo 'REFUSED: a file is not the one of manifest.txt, or is missing.' >&2
	false
	exit 111
}

set -fu # words are never file names, and nothing is taken that has no value

echo '1. The files are those of manifest.txt.'

# Words.

where= # what is being read, for a refusal

refuse() { # reason
	printf 'REFUSED: %s%s.\n' "$where" "$1" >&2
	exit 1
}

say() { printf '   %s\n' "$1"; }

step() { # words
	steps=$((steps + 1))
	printf '%s. %s\n' "$steps" "$1"
}
steps=1

# put KIND NUMBER FIELD VALUE and get KIND NUMBER FIELD keep what lines have said; the latter sets got. KIND and FIELD are words of this program.
put() { eval "$1_$2_$3=\$4"; }
get() { eval "got=\$$1_$2_$3"; }

# Values.

number() { # word
	case $1 in
	'' | *[!0-9]* | 0?* | ???????????????????*) refuse 'a number was expected' ;;
	esac
}

hex() { # word bytes
	case $1 in
	*[!0-9a-f]*) refuse 'bytes in hexadecimal were expected' ;;
	esac
	[ ${#1} -eq $(($2 * 2)) ] || refuse "$2 bytes in hexadecimal were expected"
}

# next KIND NUMBER: lines of a kind are numbered 1, 2, 3...
next() {
	eval "count=\$(($1s + 1)) $1s=\$count"
	[ "$2" = "$count" ] || refuse "this should be $1 $count"
}
certificates=0 persons=0 relays=0 signers=0 seals=0 delegations=0 channels=0 answers=0 texts=0

# known KIND NUMBER: refers to an earlier line.
known() {
	number "$2"
	eval "count=\$$1s"
	[ "$2" -ge 1 ] && [ "$2" -le "$count" ] || refuse "there is no $1 $2 before it"
}

# listed FILE: each file is in the manifest, which nothing is that no line uses.
listed() {
	used=$((used + 1))
	case " $files" in
	*" $1 "*) ;;
	*) refuse "$1 is not in manifest.txt" ;;
	esac
}
used=0

# bytes HEX sets octal: what printf writes those bytes for.
bytes() {
	octal= digits=$1
	while [ -n "$digits" ]; do
		after=${digits#??}
		byte=0x${digits%"$after"}
		octal=$octal\\$((byte >> 6))$((byte >> 3 & 7))$((byte & 7))
		digits=$after
	done
}

# digest HEX sets hash: SHA-256, in hexadecimal.
digest() {
	bytes "$1"
	hash=$(printf "$octal" | sha256sum)
	hash=${hash%% *}
}

# size BASE64 sets length: of the bytes that its lines of 64 characters stand for.
size() {
	padding=${1%=}
	padding=$((${#1} - ${#padding}))
	case $1 in
	*==) padding=2 ;;
	esac
	length=$(((${#1} - ${#1} / 65) / 4 * 3 - padding))
}

# raw BASE64 writes the bytes.
raw() { printf '%s\n' "$1" | openssl base64 -d; }

# pem LABEL BASE64 writes a file of this.
pem() { printf -- '-----BEGIN %s-----\n%s\n-----END %s-----\n' "$1" "$2" "$1"; }

# inside reads such a file and writes what is between the first line and the last one.
inside() {
	while IFS= read -r row; do
		case $row in
		-----*) ;;
		*) printf '%s\n' "$row" ;;
		esac
	done
}

# varint NUMBER sets encoded [2.1].
varint() {
	if [ "$1" -lt 64 ]; then
		encoded=$(printf %02x "$1")
	elif [ "$1" -lt 16384 ]; then
		encoded=$(printf %04x $(($1 + 0x4000)))
	elif [ "$1" -lt 1073741824 ]; then
		encoded=$(printf %08x $(($1 + 0x80000000)))
	else
		encoded=$(printf %016x $(($1 - 0x4000000000000000)))
	fi
}

# take BYTES moves so many from the front of left to taken.
take() {
	rest=$left missing=$1
	while [ "$missing" -gt 0 ]; do
		rest=${rest#??}
		missing=$((missing - 1))
	done
	taken=${left%"$rest"}
	[ ${#taken} -eq $(($1 * 2)) ] || refuse 'a statement is too short'
	left=$rest
}

# take_varint moves one from the front of left to value [2.1].
take_varint() {
	case $left in
	[0-3]*) take 1 && value=$((0x$taken)) least=0 ;;
	[4-7]*) take 2 && value=$((0x$taken - 0x4000)) least=64 ;;
	[89ab]*) take 4 && value=$((0x$taken - 0x80000000)) least=16384 ;;
	*)
		take 8
		rest=${taken#?}
		value=$(((0x${taken%"$rest"} & 3) << 60 | 0x$rest)) least=1073741824
		;;
	esac
	[ "$value" -ge "$least" ] || refuse 'a number is not in its shortest form'
}

# date_of SECONDS sets date, in words.
date_of() {
	days=$(($1 / 86400 + 719468)) seconds=$(($1 % 86400))
	era=$((days / 146097)) days=$((days % 146097))
	year=$(((days - days / 1460 + days / 36524 - days / 146096) / 365))
	days=$((days - year * 365 - year / 4 + year / 100))
	month=$(((5 * days + 2) / 153))
	day=$((days - (153 * month + 2) / 5 + 1))
	year=$((era * 400 + year + month / 10)) month=$(((month + 2) % 12 + 1))
	date=$(printf '%04d-%02d-%02d %02d:%02d:%02d UTC' $year $month $day $((seconds / 3600)) $((seconds / 60 % 60)) $((seconds % 60)))
}

# seconds_of DATE sets seconds; the date is as openssl prints it: Nov 23 12:00:00 2026 GMT.
seconds_of() {
	set -- $1
	names=JanFebMarAprMayJunJulAugSepOctNovDec
	names=${names%%"$1"*}
	month=$(((${#names} / 3 + 10) % 12)) # from March
	year=$(($4 - month / 10))
	day=$((year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + $2 - 719469))
	clock=$3
	hour=${clock%%:*} second=${clock##*:}
	second=${second%%.*}
	minute=${clock#*:}
	minute=${minute%:*}
	seconds=$((day * 86400 + ${hour#0} * 3600 + ${minute#0} * 60 + ${second#0}))
}

# People and their cards.

line_certificate() { # number SHA-256
	[ $# -eq 2 ] || refuse 'too few or too many words'
	next certificate "$1"
	hex "$2" 32
	file=cert-$1.pem
	listed "$file"
	base64=$(inside <"$file")
	[ "$(raw "$base64" 2>&1 | openssl base64)" = "$base64" ] && [ "$(sha256sum <"$file")" = "$(pem CERTIFICATE "$base64" | sha256sum)" ] ||
		refuse "$file is not in its plain form"
	hash=$(raw "$base64" | sha256sum)
	[ "${hash%% *}" = "$2" ] || refuse "$file is another certificate"
	put certificate "$1" hash "$2"
	put certificate "$1" base64 "$base64"

	# Names are in ASCII, with \XX for each byte that is none or would change how the rest is shown.
	names=$(openssl x509 -in "$file" -noout -pubkey -subject -issuer -nameopt utf8,esc_2253,esc_ctrl,esc_msb,sep_multiline,sname 2>&1)
	case $names in
	'-----BEGIN PUBLIC KEY-----'*"${newline}subject="*"${newline}issuer="*) ;;
	*) refuse "$file is no certificate" ;;
	esac
	put certificate "$1" issuer "${names##*"$newline"issuer=}"
	names=${names%"$newline"issuer=*}
	put certificate "$1" subject "${names##*"$newline"subject=}"
	key=${names%"$newline"subject=*}
	put certificate "$1" key "$key"
	hash=$(printf '%s\n' "$key" | inside | openssl base64 -d | sha256sum)
	put certificate "$1" keyhash "${hash%% *}"
}
newline='
'

# about CERTIFICATE subject|issuer sets name, in one line.
about() {
	get certificate "$1" "$2"
	name=
	set -- ${got#"$newline"}
	for item; do
		case $item in
		*$newline) name="$name${item%"$newline"}, " ;;
		*) name="$name$item " ;;
		esac
	done
	name=${name% }
}

# person_of LEAF sets who: the part of an identity before its @ [7.1].
person_of() {
	who= serials=0
	get certificate "$1" subject
	left=$got
	while [ -n "$left" ]; do # a newline and spaces, or " + ", before each NAME=VALUE; a plus in a value is \+
		item=${left%%"$newline"*}
		item=${item%% + *}
		left=${left#"$item"}
		left=${left#"$newline"}
		left=${left# + }
		while :; do
			case $item in
			' '*) item=${item# } ;;
			*) break ;;
			esac
		done
		case $item in
		serialNumber=*) serials=$((serials + 1)) who=${item#*=} ;;
		esac
	done
	[ $serials -le 1 ] || refuse 'a subject has several serial numbers'
	case $who in
	mailto:*) refuse 'a serial number would pass for an e-mail address' ;;
	'')
		names=$(openssl x509 -in "cert-$1.pem" -noout -ext subjectAltName 2>&1)
		case $names in
		*' email:'*) ;;
		*) refuse 'a certificate has neither serial number nor e-mail address' ;;
		esac
		who=${names#*" email:"}
		who=${who%%,*}
		who=${who%%"$newline"*}
		case $(openssl x509 -in "cert-$1.pem" -noout -checkemail "$who" 2>&1) in # for the text may be of another name
		*'does match'*) ;;
		*) refuse 'the e-mail address is not plain' ;;
		esac
		lower "$who"
		who=mailto:$lowered
		;;
	esac
	escaped "$who"
	who=$escape
}

lower() { # text; sets lowered
	lowered= left=$1
	while [ -n "$left" ]; do
		rest=${left#?}
		char=${left%"$rest"}
		left=$rest
		small=abcdefghijklmnopqrstuvwxyz capital=ABCDEFGHIJKLMNOPQRSTUVWXYZ
		case $char in
		[A-Z])
			while [ "${capital%"${capital#?}"}" != "$char" ]; do capital=${capital#?} small=${small#?}; done
			char=${small%"${small#?}"}
			;;
		esac
		lowered=$lowered$char
	done
}

# escaped NAME sets escape: as identities write what openssl wrote with \.
escaped() {
	escape= left=$1
	while [ -n "$left" ]; do
		case $left in
		\\[0-9A-F][0-9A-F]*)
			left=${left#?}
			rest=${left#??}
			escape=$escape%${left%"$rest"}
			left=$rest
			continue
			;;
		\\?*) left=${left#?} ;;
		esac
		rest=${left#?}
		char=${left%"$rest"}
		left=$rest
		case $char in
		' ') char=%20 ;;
		'#') char=%23 ;;
		%) char=%25 ;;
		@) char=%40 ;;
		esac
		escape=$escape$char
	done
}

owned=' ' # the numbers of certificates that are people's own

line_person() { # number identity leaf intermediate... anchor
	[ $# -ge 4 ] && [ $# -le 8 ] || refuse 'too few or too many words'
	person=$1 identity=$2
	chain person "$@"
	case $usage in
	*'TLS Web Server Authentication'*) refuse "certificate $leaf is not for a person's authentication" ;;
	esac
	person_of "$leaf"
	get certificate "$anchor" keyhash
	rest=${got#????????????????}
	[ "$identity" = "$who@${got%"$rest"}" ] || refuse 'the identity is not the one of the certificates'
	get certificate "$leaf" keyhash
	put person "$person" identity "$identity"
	put person "$person" way "$way"
	put person "$person" key "$got"
	about "$leaf" subject
	say "Person $person is $identity,"
	say "   in the certificate's words: $name"
}

# chain person|relay NUMBER NAME LEAF INTERMEDIATE... ANCHOR: their certificates, which are verified when it is known at what times. It sets leaf, anchor,
# way and usage.
chain() {
	next "$1" "$2"
	kind=$1 number=$2 leaf=$4
	shift 4
	known certificate "$leaf"
	case $owned in
	*" $leaf "*) refuse 'a certificate of two people' ;;
	esac
	owned="$owned$leaf "
	way=" $leaf $* " chain=
	while [ $# -gt 1 ]; do
		known certificate "$1"
		chain="$chain -untrusted cert-$1.pem"
		shift
	done
	known certificate "$1"
	anchor=$1
	put "$kind" "$number" leaf "$leaf"
	put "$kind" "$number" chain "$chain"
	put "$kind" "$number" anchor "$anchor"
	put "$kind" "$number" first ''
	put "$kind" "$number" last ''
	usage=$(openssl x509 -in "cert-$leaf.pem" -noout -ext keyUsage,extendedKeyUsage,basicConstraints 2>&1)
	case $usage in # [3.8]
	*'CA:TRUE'* | *'Non Repudiation'*) refuse "certificate $leaf is not for authentication" ;;
	*'Digital Signature'*) ;;
	*) refuse "certificate $leaf is not for signatures" ;;
	esac
}

line_relay() { # number name leaf intermediate... anchor
	[ $# -ge 4 ] && [ $# -le 8 ] || refuse 'too few or too many words'
	relay=$1 name=$2
	chain relay "$@"
	case $usage in
	*'TLS Web Server Authentication'*) ;;
	*) refuse "certificate $leaf is not a relay's" ;;
	esac
	case $name in
	*:*[A-Z]* | *[A-Z]*:* | *[!0-9A-Za-z.:-]*) refuse 'no name of a relay' ;;
	*:*) names=address ;;
	*[!0-9.]*) names=$(openssl x509 -in "cert-$leaf.pem" -noout -ext subjectAltName 2>&1) ;;
	*) names=address ;;
	esac
	[ "$names" != address ] || names=$(openssl x509 -in "cert-$leaf.pem" -noout -checkip "$name" 2>&1)
	case " $names," in
	*" DNS:$name,"*)
		case $(openssl x509 -in "cert-$leaf.pem" -noout -checkhost "$name" 2>&1) in # for the text may be of another name
		*'does match'*) ;;
		*) refuse 'the name of a relay is not plain' ;;
		esac
		;;
	*"IP $name does match certificate,"*) ;;
	*) refuse "certificate $leaf is of another relay" ;;
	esac
	put relay "$relay" identity "$name"
	say "Relay $relay is $name."
}

# signer_of LEAF STATEMENT sets hash [4.1]. STATEMENT is the delegation's, or empty.
signer_of() {
	bytes "$(printf %08x $((${#2} / 2)))$2"
	delegated=$octal
	get certificate "$1" base64
	size "$got"
	bytes "$(printf %08x "$length")"
	hash=$({
		printf "sinete/1 signer\\000$octal"
		raw "$got"
		printf "$delegated"
	} | sha256sum)
	hash=${hash%% *}
}

line_signer() { # number person|relay|delegation number
	[ $# -eq 3 ] || refuse 'too few or too many words'
	next signer "$1"
	file=key-$1.pem
	listed "$file"
	case $2 in
	person | relay)
		known "$2" "$3"
		who=$2 person=$3 statement= since= until=
		get "$who" "$person" leaf
		get certificate "$got" key
		expected=$got$newline
		case $(openssl pkey -pubin -in "$file" -noout -text_pub 2>&1) in
		*'NIST CURVE: P-256'*) schemes=0403 ;;
		*'NIST CURVE: P-384'*) schemes=0503 ;;
		*Exponent:*) schemes=0401,0804 ;; # RSA
		*) schemes= ;;
		esac
		;;
	delegation)
		known delegation "$3"
		get delegation "$3" person
		who=person person=$got
		get delegation "$3" since
		since=$got
		get delegation "$3" until
		until=$got
		get delegation "$3" statement
		statement=$got
		left=$statement
		take 32
		bytes "302a300506032b6570032100$taken"
		expected=$(pem 'PUBLIC KEY' "$(printf "$octal" | openssl base64)")$newline
		schemes=0807
		;;
	*) refuse 'a signer is a person, a relay or a delegation' ;;
	esac
	[ "$(sha256sum <"$file")" = "$(printf %s "$expected" | sha256sum)" ] || refuse "$file is another key"
	get "$who" "$person" leaf
	signer_of "$got" "$statement"
	put signer "$1" kind "$2"
	put signer "$1" who "$who"
	put signer "$1" person "$person"
	put signer "$1" hash "$hash"
	put signer "$1" schemes "$schemes"
	put signer "$1" since "$since"
	put signer "$1" until "$until"
}

# Seals.

line_seal() { # number signer scheme time leaves root
	[ $# -eq 6 ] || refuse 'too few or too many words'
	next seal "$1"
	known signer "$2"
	hex "$3" 2
	number "$4"
	number "$5"
	hex "$6" 32
	seal=$1 signer=$2 scheme=$3 time=$4 leaves=$5 root=$6
	height=0
	while [ $height -lt 16 ] && [ $((1 << height)) -lt "$leaves" ]; do height=$((height + 1)); done
	[ $((1 << height)) -eq "$leaves" ] || refuse 'leaves are a power of two up to 65536'

	# [4.1] What was signed.
	signed=seal-$seal.bin signature=seal-$seal.sig key=key-$signer.pem
	listed "$signed"
	listed "$signature"
	get signer "$signer" hash
	bytes "$got$(printf '%016x%08x' "$time" "$leaves")$root"
	[ "$(sha256sum <"$signed")" = "$(printf "%64ssinete/1 seal\\000$octal" '' | sha256sum)" ] || refuse "$signed is not what this seal signs"

	# [3.8] The scheme fits the key, and its signature verifies.
	get signer "$signer" schemes
	case $got in
	*"$scheme"*) ;;
	*) refuse 'the scheme does not fit the key' ;;
	esac
	case $scheme in
	0401 | 0403) set -- dgst -sha256 ;;
	0503) set -- dgst -sha384 ;;
	0804) set -- dgst -sha256 -sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:32 ;;
	0807) set -- pkeyutl -verify -rawin -pubin ;;
	esac
	case $1 in
	dgst) set -- "$@" -verify "$key" -signature "$signature" "$signed" ;;
	pkeyutl) set -- "$@" -inkey "$key" -sigfile "$signature" -in "$signed" ;;
	esac
	openssl "$@" >/dev/null 2>&1 </dev/null || refuse "the signature $signature does not verify"
	put seal "$seal" signer "$signer"
	put seal "$seal" time "$time"
	put seal "$seal" height "$height"
	put seal "$seal" root "$root"

	# [4.5] A delegated key seals until its time is over. The person's certificates must have been valid at all times at which something was sealed.
	get signer "$signer" until
	[ -z "$got" ] || [ "$time" -le "$got" ] || refuse 'sealed after the end of the delegation'
	get signer "$signer" since
	[ -z "$got" ] || [ "$time" -ge "$got" ] || refuse 'sealed before the delegation'
	get signer "$signer" who
	who=$got
	get signer "$signer" person
	person=$got
	get "$who" "$person" first
	[ -n "$got" ] && [ "$got" -le "$time" ] || put "$who" "$person" first "$time"
	get "$who" "$person" last
	[ -n "$got" ] && [ "$got" -ge "$time" ] || put "$who" "$person" last "$time"
}

# sealed PURPOSE SEAL INDEX SALT STATEMENT NODE... [4.2, 4.3]
sealed() {
	purpose=$1 seal=$2 index=$3 salt=$4 statement=$5
	shift 5
	known seal "$seal"
	number "$index"
	hex "$salt" 16
	hex "$statement" $((${#statement} / 2))
	get seal "$seal" height
	[ $# -eq "$got" ] || refuse 'the path does not fit the number of leaves'
	[ "$index" -lt $((1 << got)) ] || refuse 'an index beyond the leaves'
	digest "$statement"
	digest "00$purpose$salt$hash"
	for node; do
		hex "$node" 32
		if [ $((index & 1)) -eq 1 ]; then digest "01$node$hash"; else digest "01$hash$node"; fi
		index=$((index >> 1))
	done
	get seal "$seal" root
	[ "$hash" = "$got" ] || refuse "seal $seal does not cover this statement"
}

line_delegation() { # number seal index salt statement node...
	[ $# -ge 5 ] || refuse 'too few or too many words'
	next delegation "$1"
	delegation=$1
	shift
	sealed 04 "$@"
	get seal "$seal" signer
	signer=$got
	get signer "$signer" kind
	[ "$got" = person ] || refuse 'a delegated key that delegates'
	get signer "$signer" person
	person=$got

	# [4.5] key, purposes, not after, deployment
	left=$statement
	take 32
	take 2
	purposes=$((0x$taken))
	[ $((purposes & ~14)) -eq 0 ] || refuse 'a delegation for purposes that there are not'
	[ $((purposes & 8)) -ne 0 ] || refuse 'a delegation which is not for messages'
	take 8
	case $taken in
	[1-9a-f]*) refuse 'a delegation without end' ;;
	esac
	until=$((0x$taken))
	take 1
	[ ${#left} -eq $((0x$taken * 2)) ] && [ ${#left} -le 400 ] || refuse 'a delegation with a name that is not canonical'
	get seal "$seal" time
	[ "$until" -ge "$got" ] && [ "$until" -le $((got + 43200)) ] || refuse 'a delegation for more than 12 hours, or over before it begins'
	put delegation "$delegation" person "$person"
	put delegation "$delegation" statement "$statement"
	put delegation "$delegation" since $((got - 300)) # clocks are set back
	put delegation "$delegation" until "$until"
}

line_status() { # number person certificate issuer SHA-256
	[ $# -eq 5 ] || refuse 'too few or too many words'
	next answer "$1"
	known person "$2"
	known certificate "$3"
	known certificate "$4"
	hex "$5" 32
	file=ocsp-$1.der
	listed "$file"
	hash=$(sha256sum <"$file")
	[ "${hash%% *}" = "$5" ] || refuse "$file is another answer"
	get person "$2" way
	case $got in
	*" $3 $4 "*) ;;
	*) refuse 'not a certificate of this person and its issuer' ;;
	esac
	for algorithm in sha1 sha256; do # by which the answer names the issuer; nothing is signed with it
		answer=$(openssl ocsp -noverify -respin "$file" -issuer "cert-$4.pem" -$algorithm -cert "cert-$3.pem" 2>/dev/null)
		case $answer in
		"cert-$3.pem: good$newline"*'This Update: '*) break ;;
		esac
		answer=
	done
	[ -n "$answer" ] || refuse 'the answer does not say that the certificate was good'
	answer=${answer#*This Update: }
	seconds_of "${answer%%"$newline"*}"
	openssl ocsp -no_nonce $only -partial_chain -auth_level 2 -attime "$seconds" -VAfile "cert-$4.pem" -CAfile "cert-$4.pem" -respin "$file" \
		-issuer "cert-$4.pem" -$algorithm -cert "cert-$3.pem" >/dev/null 2>&1 || refuse 'the answer does not come from the issuer of the certificate'
	about "$3" subject
	date_of "$seconds"
	say "Not revoked at $date, said its issuer: the certificate of $name"
}

# chains person|relay COUNT verifies their certificates at the earliest and the latest time at which they sealed, and so at all between [3.8].
chains() {
	person=0
	while [ $person -lt "$2" ]; do
		person=$((person + 1))
		where="$1 $person: "
		get "$1" $person anchor
		anchor=$got
		get "$1" $person leaf
		leaf=$got
		get "$1" $person chain
		chain=$got
		get certificate "$anchor" hash
		trusted "$got"
		get "$1" $person last
		last=$got
		get "$1" $person first
		[ "$got" != "$last" ] || last=
		for got in $got $last; do # nobody who has sealed nothing
			date_of "$got"
			openssl verify $only -partial_chain -auth_level 2 -attime "$got" -CAfile "cert-$anchor.pem" $chain "cert-$leaf.pem" >/dev/null 2>&1 </dev/null ||
				refuse "the certificates were not valid on $date, or do not lead to their authority"
		done
		about "$leaf" issuer
		say "The certificate of $1 $person was issued by: $name"
		about "$anchor" subject
		get certificate "$anchor" hash
		say "   below the authority: $name"
		if [ -n "$trust" ]; then
			say '   which is among those that you trust.'
		else
			say "   whose certificate has the SHA-256 fingerprint $got: compare it."
		fi
	done
}

# trusted SHA-256: where a file of authorities was given, it must be one of those.
trusted() {
	[ -n "$trust" ] || return 0
	block=
	while read -r row; do
		case $row in
		'-----BEGIN CERTIFICATE-----') block= ;;
		esac
		block=$block$row$newline
		case $row in
		'-----END CERTIFICATE-----')
			hash=$(printf %s "$block" | inside | openssl base64 -d | sha256sum)
			[ "${hash%% *}" != "$1" ] || return 0
			;;
		esac
	done <"$trust"
	refuse 'the certificates lead to an authority that is not among those that you trust'
}

# Conversations.

line_channel() { # number id initiator responder
	[ $# -eq 4 ] || refuse 'too few or too many words'
	next channel "$1"
	hex "$2" 32
	known person "$3"
	known person "$4"
	get person "$3" identity
	who=$got
	get person "$4" identity
	[ "$who" != "$got" ] || refuse 'a conversation with oneself'
	put channel "$1" id "$2"
	put channel "$1" 1 "$3" # who sends in direction 1
	put channel "$1" 2 "$4"
	parties "$3" "$4"
	put channel "$1" parties1 "$hash"
	parties "$4" "$3"
	put channel "$1" parties2 "$hash"
}

# parties AUTHOR RECIPIENT sets hash [5.4].
parties() {
	get person "$1" key
	bytes "$got"
	author_key=$octal
	get person "$2" key
	bytes "$got"
	recipient_key=$octal
	get person "$2" identity
	recipient=$got
	get person "$1" identity
	bytes "$(printf '%02x%02x' ${#got} ${#recipient})"
	recipient_length=${octal#????}
	hash=$(printf "sinete/1 parties\\000${octal%????}%s$author_key$recipient_length%s$recipient_key" "$got" "$recipient" | sha256sum)
	hash=${hash%% *}
}

line_run() { # channel direction epoch count T
	[ $# -eq 5 ] || refuse 'too few or too many words'
	closed
	known channel "$1"
	case $2 in
	1 | 2) ;;
	*) refuse 'a direction is 1 or 2' ;;
	esac
	number "$3"
	number "$4"
	hex "$5" 32
	direction=$2 epoch=$3 place=$4 transcript=$5 last= before_run=$texts
	get channel "$1" id
	channel=$got
	get channel "$1" "parties$2"
	parties=$got
	get channel "$1" "$2"
	author=$got
	get channel "$1" $((3 - $2))
	recipient=$got
	get person "$author" identity
	author_name=$got
	get person "$recipient" identity
	recipient_name=$got
	step "From $author_name to $recipient_name, conversation $channel:"
	sealed_texts=$texts received_texts=$texts
}

# closed: nothing may stand behind the last head of a run that no head covers.
closed() {
	[ -z "$unsealed$loose" ] || refuse 'no head seals what stands before this line'
	[ -z "$passage" ] || refuse 'no relay has sealed the passage before this line'
	[ "$texts" -gt "$before_run" ] || refuse 'the run before this line shows no message'
}
unsealed= loose= passage= before_run=-1

# envelope DIGEST goes on by one [5.5].
envelope() {
	digest "$transcript$1"
	transcript=$hash
	place=$((place + 1)) loose=y
	[ -n "$passage" ] || return 0
	varint "$hop_epoch"
	hop_header=$encoded
	varint "$hop_place"
	digest "$hop_header${encoded}02$1"
	outer "$hash"
}

# outer DIGEST goes on by one on the way to a relay, or from it.
outer() {
	digest "$hop_transcript$1"
	hop_transcript=$hash
	hop_place=$((hop_place + 1))
}

line_hidden() { # digest
	[ $# -eq 1 ] || refuse 'too few or too many words'
	hex "$1" 32
	envelope "$1"
}

line_epoch() { # epoch TH
	[ $# -eq 2 ] || refuse 'too few or too many words'
	number "$1"
	[ "$1" -gt "$epoch" ] || refuse 'epochs go upwards'
	[ ${#2} -le 510 ] || refuse 'a TH is shorter'
	hex "$2" $((${#2} / 2))
	[ "$place" -eq 0 ] || last=$(printf %016x "$place")$transcript # of the latest epoch in which there was an envelope
	[ -n "$last" ] || refuse 'an epoch whose beginning is not known'
	digest "73696e6574652f31206c616e6500$(printf %02x $((${#2} / 2)))${2}0000000000000000$(printf %02x "$direction")$last"
	transcript=$hash epoch=$1 place=0 loose=y
}

line_message() { # number number-of-the-author's id time header H(ciphertext) opening-key
	[ $# -eq 7 ] || refuse 'too few or too many words'
	next text "$1"
	file=text-$1.txt
	listed "$file"
	number "$2"
	hex "$3" 16
	hex "$4" 8
	hex "$5" $((${#5} / 2))
	hex "$6" 32
	hex "$7" 32

	# [5.1] header: epoch, place, type 16, label, commitment
	varint "$epoch"
	header=$encoded
	varint "$place"
	header=$header${encoded}10
	left=${5#"$header"}
	[ "$left" != "$5" ] || refuse 'the header is of another place'
	label
	[ ${#left} -eq 64 ] || refuse 'the header is not canonical'
	commitment=$left

	# [5.4] parties, id, time, type 1, number, text; its author is committed to it
	base64=$(openssl base64 -in "$file")
	size "$base64"
	[ "$length" -ge 1 ] && [ "$length" -le 61000 ] || refuse 'a text of no or too many bytes'
	varint "$2"
	bytes "${channel}0000000000000000$(printf %02x "$direction")${5%"$commitment"}$parties$3${4}01$encoded"
	opened=$({
		printf "$octal"
		raw "$base64"
	} | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$7")
	[ "${opened##* }" = "$commitment" ] || refuse "its author did not commit to $file as this message"

	digest "$5$6"
	envelope "$hash"
	case $4 in
	000*) date_of $((0x$4 / 1000)) ;;
	*) date='a time that there is not' ;;
	esac
	say "Message $2, $file, $length bytes, label $label, written at $date by its author's clock:"
	say '   its author is committed to this text, these two people and this place in the conversation.'
	unsealed=y
	put text $texts what "Message $2 from $author_name to $recipient_name"
	put text $texts relayed ''
	put text $texts received ', not proved to have been received'
}

# label moves a level from the front of left to label, in words [7.1].
label() {
	take 2
	label=$((0x$taken))
	take 1
	compartments=$((0x$taken)) before= between='{'
	[ $compartments -le 16 ] || refuse 'a label that is not canonical'
	while [ $compartments -gt 0 ]; do
		compartments=$((compartments - 1))
		take 1
		[ $((0x$taken)) -ge 1 ] && [ $((0x$taken)) -le 32 ] || refuse 'a label that is not canonical'
		take $((0x$taken))
		bytes "$taken"
		taken=$(printf "${octal}.")
		taken=${taken%.}
		case $taken in
		*[!a-z0-9-]*) refuse 'a label that is not canonical' ;;
		esac
		[ "$before" \< "$taken" ] || refuse 'a label that is not canonical'
		label=$label$between$taken before=$taken between=,
	done
	[ -z "$before" ] || label="$label}"
}

# by PERSON SEAL: the person or a key to which the person delegated made the seal. It sets date.
by() {
	get seal "$2" signer
	signer=$got
	get signer "$signer" who
	[ "$got" = person ] || refuse 'sealed by a relay'
	get signer "$signer" person
	[ "$got" = "$1" ] || refuse 'sealed by somebody else'
	get seal "$2" time
	date_of "$got"
}

# here sets encoded: the place reached, as heads name it [5.5].
here() {
	varint "$epoch"
	here=$encoded
	varint "$place"
	encoded=$here$encoded$transcript
}

# take_place moves a place from the front of left.
take_place() {
	take_varint
	take_varint
	take 32
}

line_head() { # seal index salt statement node...
	[ $# -ge 4 ] || refuse 'too few or too many words'
	sealed 03 "$@"
	by "$author" "$1"
	here
	expected=${channel}00$(printf %02x "$direction")01$encoded
	left=${statement#"$expected"}
	[ "$left" != "$statement" ] || refuse 'the head names another place'
	take_place
	[ -z "$left" ] || refuse 'the head is too long'
	say "Sealed by the author, who names $date as the time: all that stands above in this direction, up to envelope $place of epoch $epoch."
	while [ $sealed_texts -lt $texts ]; do
		sealed_texts=$((sealed_texts + 1))
		put text $sealed_texts sealed ", sealed $date"
	done
	unsealed= loose=
}

line_receipt() { # seal index salt statement node...
	[ $# -ge 4 ] || refuse 'too few or too many words'
	sealed 03 "$@"
	by "$recipient" "$1"
	expected=${channel}00$(printf %02x $((3 - direction)))
	left=${statement#"$expected"}
	[ "$left" != "$statement" ] || refuse 'the receipt is of another conversation or person'
	take 1
	case $taken in
	00) ;;
	01) take_place ;;
	*) refuse 'the receipt is not canonical' ;;
	esac
	here
	[ "$left" = "$encoded" ] || refuse 'the receipt names another place'
	say "Received, says the recipient, who names $date as the time: all that stands above in this direction."
	while [ $received_texts -lt $texts ]; do
		received_texts=$((received_texts + 1))
		put text $received_texts received ", received $date"
	done
	loose=
}

# What relays say. On the way to a relay, or from it, each envelope travels in another one, of whose transcript the relay seals heads, too [5.5].

line_passage() { # direction epoch count T
	[ $# -eq 4 ] || refuse 'too few or too many words'
	[ -z "$passage" ] || refuse 'a passage within a passage'
	case $1 in
	1 | 2) ;;
	*) refuse 'a direction is 1 or 2' ;;
	esac
	number "$2"
	number "$3"
	hex "$4" 32
	passage=$1 hop_epoch=$2 hop_place=$3 hop_transcript=$4 passage_texts=$texts
}

line_outer() { # digest
	[ $# -eq 1 ] || refuse 'too few or too many words'
	[ -n "$passage" ] || refuse 'this stands outside a passage'
	hex "$1" 32
	outer "$1"
}

line_relayed() { # seal index salt statement node...
	[ $# -ge 4 ] || refuse 'too few or too many words'
	[ -n "$passage" ] || refuse 'this stands outside a passage'
	sealed 03 "$@"
	get seal "$1" time
	date_of "$got"
	get seal "$1" signer
	signer=$got
	get signer "$signer" who
	[ "$got" = relay ] || refuse 'sealed by somebody who is no relay'
	get signer "$signer" person
	get relay "$got" identity
	relay=$got

	# [5.5] of whatever channel and lane: the relay's head, whose place of this direction must be the one reached
	varint "$hop_epoch"
	expected=$encoded
	varint "$hop_place"
	expected=$expected$encoded$hop_transcript
	left=$statement
	take 32
	take_varint
	take 2
	case $passage,$taken in
	2,0201)
		rest=${left#"$expected"}
		[ "$rest" != "$left" ] || refuse 'the head of the relay names another place'
		left=$rest
		take_place
		;;
	1,0200 | 1,0201)
		[ "$taken" = 0200 ] || take_place
		rest=${left#"$expected"}
		[ "$rest" != "$left" ] || refuse 'the head of the relay names another place'
		left=$rest
		;;
	*) refuse 'no head of a relay for this direction' ;;
	esac
	[ -z "$left" ] || refuse 'the head is too long'
	[ "$texts" -gt "$passage_texts" ] || refuse 'a passage without a message'
	say "The relay $relay states that it had at $date the messages since the passage to it or from it began."
	while [ $passage_texts -lt $texts ]; do
		passage_texts=$((passage_texts + 1))
		get text $passage_texts relayed
		[ -n "$got" ] || put text $passage_texts relayed ", at the relay $relay at $date"
	done
	passage=
}

# Reading proof.txt.

# part_one is over when the first run begins: then everybody is known, and every time at which they sealed.
part_two() {
	[ $part -eq 1 ] || return 0
	part=2 at=$where
	step "$seals signatures are genuine; the certificates lead to their authorities, and were valid at all times that the seals name."
	chains person $persons
	chains relay $relays
	where=$at
}

read_line() { # words
	case $1 in
	certificate | person | relay | signer | seal | delegation | channel | status)
		[ $part -eq 1 ] || refuse 'this line stands too late'
		;;
	run)
		part_two
		;;
	hidden | message | epoch | head | receipt | passage | outer | relayed)
		[ $part -eq 2 ] || refuse 'this line stands outside a run'
		;;
	end)
		[ $part -ge 2 ] && [ $# -eq 1 ] || refuse 'this line stands too early'
		closed
		part=3
		return
		;;
	*) refuse 'what this is is not known' ;;
	esac
	kind=$1
	shift
	line_"$kind" "$@"
}

# stamps verifies the time-stamps [RFC 3161], which are over the manifest's lines for all files that the proof consists of.
stamps() {
	stamp=1
	while :; do
		answer=stamp-$stamp.tsr authority=stamp-$stamp.pem
		case " $files" in
		*" $answer "*) ;;
		*) break ;;
		esac
		where="$answer: "
		listed "$answer"
		listed "$authority"
		set --
		for file in $files; do
			case $file in
			evidence.html | evidence.txt | stamp-* | verify.sh) ;;
			*) set -- "$@" "$file" ;;
			esac
		done
		imprint=$(sha256sum -- "$@" | sha256sum)
		base64=$(inside <"$authority")
		[ "$(sha256sum <"$authority")" = "$(pem CERTIFICATE "$base64" | sha256sum)" ] || refuse "$authority is not in its plain form"
		fingerprint=$(raw "$base64" 2>&1 | sha256sum)
		fingerprint=${fingerprint%% *}
		time=$(openssl ts -reply -in "$answer" -text 2>/dev/null)
		time=${time#*"${newline}Time stamp: "}
		time=${time%%"$newline"*}
		case $time in
		[A-Z][a-z][a-z]' '*:*:*' '????' GMT') ;;
		*) refuse 'this is no time-stamp' ;;
		esac
		seconds_of "$time"
		openssl ts -verify -digest "${imprint%% *}" -in "$answer" -CAfile "$authority" -partial_chain -attime "$seconds" >/dev/null 2>&1 ||
			refuse 'the time-stamp is not one of these files, or not of that authority'
		trusted "$fingerprint"
		date_of "$seconds"
		step "A time-stamping authority states that all that is proved here, the signatures too, was there on $date."
		say "The certificate of the authority above it has the SHA-256 fingerprint $fingerprint${trust:+, and is among those that you trust}."
		stamp=$((stamp + 1))
	done
	where=
}

only=-no-CApath # none of the machine's own authorities
case $(openssl verify -help 2>&1) in
*-no-CAstore*) only='-no-CApath -no-CAstore' ;;
esac

trust=${1-}
case $trust in
'' | /*) ;;
*) trust=$started/$trust ;;
esac
[ -z "$trust" ] || [ -r "$trust" ] || refuse 'the file of authorities that you trust cannot be read'

# What a shell cannot read as it stands, such as zeros, or a last line that has no end, is no line.
[ "$(while IFS= read -r row; do printf '%s\n' "$row"; done <proof.txt | sha256sum)" = "$(sha256sum <proof.txt)" ] || refuse 'proof.txt is no text of whole lines'

step 'The people, their cards, and what these have signed:'
IFS=' ' part=0 lines=0
while IFS= read -r row <&3; do
	lines=$((lines + 1))
	where="line $lines of proof.txt: "
	case $row in
	*[!\ -~]*) refuse 'another character than those of ASCII' ;;
	esac
	set -- $row
	[ $# -gt 0 ] && [ "$*" = "$row" ] || refuse 'words are parted by one space'
	case $part in
	0) [ "$row" = 'sinete-evidence 1' ] && part=1 || refuse 'this is no evidence of version 1' ;;
	3) refuse 'something stands behind the end' ;;
	*) read_line "$@" ;;
	esac
done 3<proof.txt
where=
[ $part -eq 3 ] || refuse 'proof.txt has no end'

stamps

# The manifest lists what proof.txt names, time-stamps and these four, in order, and nothing else.
listed evidence.html
listed evidence.txt
listed proof.txt
listed verify.sh
before=
for file in $files; do
	[ "$before" \< "$file" ] || refuse 'manifest.txt is not in order'
	before=$file used=$((used - 1))
done
[ $used -eq 0 ] || refuse 'manifest.txt lists a file that proof.txt does not name'

step 'The files are still those of manifest.txt.'

# The files, once more and independently of the first time. What follows this is only said when nothing has been changed anywhere.
again=$(while read -r sum name; do printf '%s ' "$name"; done <manifest.txt)
[ "$(sha256sum -- $again 2>&1 </dev/null | sha256sum)" = "$(sha256sum <manifest.txt)" ] || {
	echo 'REFUSED: a file is not the one of manifest.txt, or is missing.' >&2
	false
	exit 111
}

echo
echo 'VERIFIED'
text=0
while [ $text -lt $texts ]; do
	text=$((text + 1))
	get text $text what
	what=$got
	get text $text sealed
	what=$what$got
	get text $text relayed
	what=$what$got
	get text $text received
	say "text-$text.txt: $what$got"
done
echo 'Proved: the cards of the authors, or keys to which these cards delegated for some hours, signed these texts, as messages to these recipients. Where it says
received, so did the card of the recipient for the message and all before it in that direction.
Not proved: when. Times are the word of whoever signed; where it says at the relay, that one has signed its time, and knew of the message by then. Nor that the authorities named above are to be trusted, unless you named them yourself; nor who held
a card; nor what other messages said, of which nothing is shown here.'
