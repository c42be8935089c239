/**
 * Words that people say for each other, and things for which they name the field they belong to.
 * English; what it is about is what tools are about. Used for queries only, and weighs little: the
 * tool that has the very word comes first.
 */

import { family, termOf } from "./words.ts";

const GROUPS = `
add insert append attach include
create new generate make build produce compose
delete remove erase drop clear destroy discard forget purge
get fetch retrieve read load obtain return show display view
list enumerate show browse all
search find query lookup locate discover seek
update edit modify change alter revise patch amend replace
write save store persist put record
send post deliver dispatch transmit submit
move rename relocate transfer shift
copy duplicate clone replicate
start launch run execute begin trigger invoke
stop halt end terminate cancel abort kill
open launch access
close shut dismiss
enable activate toggle turn switch
disable deactivate toggle turn
connect link join attach relate associate
convert transform translate change
translate translation language multilingual
compare diff difference versus
calculate compute math arithmetic evaluate sum
sum add total plus
count number total amount quantity
check verify validate test inspect confirm
download fetch save
upload import send
summarize summary digest overview condense
explain describe detail
recommend suggest advise recommendation suggestion
analyze analysis analytics insight examine
monitor watch track observe status
notify alert notification subscribe reminder
schedule calendar appointment meeting event agenda
book reserve booking reservation
buy purchase order shop shopping
pay payment invoice billing checkout
price cost fee rate quote
cheap discount deal coupon sale bargain
login authenticate auth signin credential
user account member profile person people
folder directory path
file document
size large space
image picture photo photograph graphic drawing
video film clip movie youtube
movie film cinema show
music song track album artist playlist audio
sound audio voice speech
speak speech voice talk pronounce
email mail message inbox gmail
message chat text sms dm
phone call telephone mobile
contact person address
news article headline press journalism
paper article publication research academic journal scholar
research study paper
book novel reading literature
website webpage web page site url link
web internet online
weather forecast temperature rain climate
location place address position coordinate gps
map route direction navigation
travel trip flight vacation hotel tourism itinerary
flight airline airport plane
hotel accommodation stay lodging
restaurant dining food cuisine eat
recipe cook cooking meal dish food ingredient
diet nutrition calorie food health
health medical doctor disease symptom medicine
fitness workout exercise training
job career employment vacancy hiring resume
resume cv
stock share equity ticker market
money finance financial bank currency
currency exchange forex
crypto cryptocurrency bitcoin token coin blockchain
company business firm organization corporation
product item goods merchandise
customer client buyer
house home property estate apartment
car vehicle auto automobile drive
sport game match league team
football soccer
game play gaming
astrology horoscope zodiac tarot
law legal lawyer contract court
learn education course study teach tutor lesson
university college school
child kid children
gift present
clothes fashion outfit wear clothing
repo repository git
branch checkout switch
commit revision history changes
history log past
issue bug ticket problem
task todo
pr pull merge
code program script source programming
deploy release publish
database db sql
table column schema row record
server host machine
container docker pod
environment env variable setting config configuration
setting preference option configuration
command shell terminal bash
log logging trace
error failure exception crash
token key secret
time clock date timezone
timezone time zone
chart graph plot diagram visualization visualize
presentation slide powerpoint deck
spreadsheet sheet excel csv
pdf document
note memo jot
memory remember knowledge recall
node entity object
relation relationship edge connection
fact observation statement
compress zip gzip archive
encode encrypt hash
decode decrypt
random randomly dice
echo repeat
think thinking reason reasoning thought
plan planning step
idea brainstorm inspiration creative
question answer quiz faq
review rating feedback opinion
logo brand design
seo keyword ranking
advertisement ad campaign marketing
tweet twitter social
domain dns hostname
screenshot capture snapshot
temporary temp
metadata info information property attribute
stage staged staging index
parallel multiple several batch many bulk
allowed permitted permission access
listen hear play music song audio
story tale fiction writing novel
write writing author essay
rent rental lease renting
property estate realty house housing apartment
debug bug code programming
login signin logon session
logout signout
laptop product electronics device
television tv show series
photo camera picture
bill invoice payment
tax taxation
trend trending popular
transcript transcribe transcription subtitle caption speech
grammar spelling proofread
label tag category
group team channel
permission role privilege
backup snapshot restore
cache caching
certificate ssl tls
dashboard report panel
form survey questionnaire
vector embedding semantic
scrape crawl extract
parse extract
merge combine join concatenate
split divide separate
sort order rank
filter select where
population demographic census
election vote politics political
holiday vacation
poem poetry lyric
joke humor funny
quote quotation saying
barcode qr code
dir folder directory
mkdir create
mkdir directory
rm delete
mv move
cp copy
msg message
img image picture
pic picture photo
vid video
docs documentation document
acct account
addr address
tz timezone
calc calculate
stats statistics
perms permission
k8s kubernetes
gh github
ppt presentation slide powerpoint
xls excel spreadsheet
btc bitcoin
eth ethereum
`;

const byFamily = new Map<string, Set<string>>();
for (const line of GROUPS.trim().split("\n")) {
  const group = line.split(" ").map(termOf);
  for (const term of group) {
    const key = family(term);
    const others = byFamily.get(key) ?? new Set();
    for (const other of group) if (other !== term) others.add(other);
    byFamily.set(key, others);
  }
}

const NONE: ReadonlySet<string> = new Set();

/** The terms that may stand for this one. */
export function synonyms(term: string): ReadonlySet<string> {
  return byFamily.get(family(term)) ?? NONE;
}
