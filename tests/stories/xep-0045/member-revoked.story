# XEP-0045 9.4: who is no member any more leaves a members-only room, once, with 321
site wonderland rooms.wonderland.lit
room rabbithole@rooms.wonderland.lit members-only owner=alice@wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea

alice joins rabbithole@rooms.wonderland.lit as Alice
alice sends
  <iq type='set' id='a1' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item affiliation='member' jid='hatter@wonderland.lit'/></query></iq>
swallow

hatter joins rabbithole@rooms.wonderland.lit as Hatter
alice sends
  <iq type='set' id='a2' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item affiliation='none' jid='hatter@wonderland.lit'/></query></iq>
hatter receives
  <presence type='unavailable' from='rabbithole@rooms.wonderland.lit/Hatter'>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none' jid='hatter@wonderland.lit/tea'>
    <actor nick='Alice'/></item><status code='110'/><status code='321'/></x></presence>
alice receives
  <iq type='result' id='a2' from='rabbithole@rooms.wonderland.lit'/>
  <presence type='unavailable' from='rabbithole@rooms.wonderland.lit/Hatter'>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='none' jid='hatter@wonderland.lit/tea'>
    <actor nick='Alice'/></item><status code='321'/></x></presence>
