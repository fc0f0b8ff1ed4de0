# XEP-0045 7.2.8, 7.14: two sessions of one user share a nick; others see one occupant, until the last has left
site wonderland rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea
user hare hatter@wonderland.lit/hare

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter joins rabbithole@rooms.wonderland.lit as Hatter
hare sends
  <presence to='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc'/></presence>
hare receives
  <presence from='rabbithole@rooms.wonderland.lit/Alice'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant'/></x></presence>
  <presence from='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='hatter@wonderland.lit/hare'/><status code='110'/></x></presence>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit'><subject/></message>
alice receives nothing
hatter receives nothing

hare sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m1'><body>No room!</body></message>
alice receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Hatter' id='m1'><body>No room!</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/></message>
hatter receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Hatter' id='m1'><body>No room!</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/></message>
hare receives
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Hatter' id='m1'><body>No room!</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{one}'/></message>

hatter sends
  <presence type='unavailable' to='rabbithole@rooms.wonderland.lit/Hatter'/>
hatter receives
  <presence type='unavailable' from='rabbithole@rooms.wonderland.lit/Hatter'>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none' jid='hatter@wonderland.lit/tea'/>
    <status code='110'/></x></presence>
alice receives nothing
hare receives nothing

hare sends
  <presence type='unavailable' to='rabbithole@rooms.wonderland.lit/Hatter'/>
hare receives
  <presence type='unavailable' from='rabbithole@rooms.wonderland.lit/Hatter'>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none' jid='hatter@wonderland.lit/hare'/>
    <status code='110'/></x></presence>
alice receives
  <presence type='unavailable' from='rabbithole@rooms.wonderland.lit/Hatter'>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none'/></x></presence>
