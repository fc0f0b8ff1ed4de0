# XEP-0421 3, 4: one id per user and room: over a change of nick, leaving and coming back, another session; forged ones are replaced
site wonderland rooms.wonderland.lit
room rabbithole@rooms.wonderland.lit
room den@rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea
user hare hatter@wonderland.lit/hare

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter sends
  <presence to='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc'/>
    <occupant-id xmlns='urn:xmpp:occupant-id:0' id='forged'/></presence>
alice receives
  <presence from='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant'/></x><occupant-id xmlns='urn:xmpp:occupant-id:0' id='{hatter}'/></presence>
swallow

hatter sends
  <presence to='rabbithole@rooms.wonderland.lit/March'/>
alice receives
  <presence type='unavailable' from='rabbithole@rooms.wonderland.lit/Hatter'>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant' nick='March'/>
    <status code='303'/></x>
    <occupant-id xmlns='urn:xmpp:occupant-id:0' id='{hatter}'/></presence>
  <presence from='rabbithole@rooms.wonderland.lit/March'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant'/></x><occupant-id xmlns='urn:xmpp:occupant-id:0' id='{hatter}'/></presence>
swallow

hatter sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m1'><body>me</body>
    <occupant-id xmlns='urn:xmpp:occupant-id:0' id='forged'/></message>
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/March' id='m1'><body>me</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/>
    <occupant-id xmlns='urn:xmpp:occupant-id:0' id='{hatter}'/></message>
swallow

hatter leaves rabbithole@rooms.wonderland.lit
hare sends
  <presence to='rabbithole@rooms.wonderland.lit/Hare'><x xmlns='http://jabber.org/protocol/muc'/></presence>
alice receives
  <presence from='rabbithole@rooms.wonderland.lit/Hare'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant'/></x><occupant-id xmlns='urn:xmpp:occupant-id:0' id='{hatter}'/></presence>
hare receives
  <presence from='rabbithole@rooms.wonderland.lit/Alice'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant'/></x><occupant-id xmlns='urn:xmpp:occupant-id:0' id='{alice}'/></presence>
  <presence from='rabbithole@rooms.wonderland.lit/Hare'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='hatter@wonderland.lit/hare'/><status code='110'/></x>
    <occupant-id xmlns='urn:xmpp:occupant-id:0' id='{hatter}'/></presence>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/March' id='m1'><body>me</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/>
    <delay xmlns='urn:xmpp:delay' from='rabbithole@rooms.wonderland.lit' stamp='{sent}'/>
    <occupant-id xmlns='urn:xmpp:occupant-id:0' id='{hatter}'/></message>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit'><subject/></message>

hare sends
  <presence to='den@rooms.wonderland.lit/Hare'><x xmlns='http://jabber.org/protocol/muc'/></presence>
hare receives
  <presence from='den@rooms.wonderland.lit/Hare'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='hatter@wonderland.lit/hare'/><status code='110'/></x>
    <occupant-id xmlns='urn:xmpp:occupant-id:0' id='{elsewhere}'/></presence>
  <message type='groupchat' from='den@rooms.wonderland.lit'><subject/></message>
