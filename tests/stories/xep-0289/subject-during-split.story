# XEP-0289 8 (fmuc.md 6.9): a subject that was set while the path was lost is the subject of both when it is back
level core
site wonderland rooms.wonderland.lit
site denmark    talk.denmark.lit
room rabbithole@rooms.wonderland.lit
room elsinore@talk.denmark.lit uplink=rabbithole@rooms.wonderland.lit owner=hamlet@denmark.lit
unwatched wonderland denmark
user alice alice@wonderland.lit/rabbit
user hamlet hamlet@denmark.lit/castle
user hatter hatter@wonderland.lit/tea

alice joins rabbithole@rooms.wonderland.lit as Alice
hamlet joins elsinore@talk.denmark.lit as Hamlet
cut wonderland denmark
hamlet sends
  <message type='groupchat' to='elsinore@talk.denmark.lit' id='s1'><subject>The play</subject></message>
hamlet receives
  <message type='groupchat' from='elsinore@talk.denmark.lit/Hamlet' id='s1'><subject>The play</subject>
    <stanza-id xmlns='urn:xmpp:sid:0' by='elsinore@talk.denmark.lit' id='{one}'/></message>

time 20s
heal wonderland denmark
time 60s
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Hamlet' id='s1'><subject>The play</subject>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/>{*}</message>
hamlet receives nothing

hatter sends
  <presence to='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc'/></presence>
hatter receives
  <presence from='rabbithole@rooms.wonderland.lit/Alice'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant'/></x></presence>
  <presence from='rabbithole@rooms.wonderland.lit/Hamlet'><x xmlns='http://jabber.org/protocol/muc#user'>{*}</x></presence>
  <presence from='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='hatter@wonderland.lit/tea'/><status code='110'/></x></presence>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Hamlet' id='s1'><subject>The play</subject>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/>{*}</message>
swallow
