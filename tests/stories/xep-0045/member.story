# XEP-0045 9.3, 9.4, 9.5: membership given and taken in an open room, by bare or full JID, and the list of members
site wonderland rooms.wonderland.lit
room rabbithole@rooms.wonderland.lit owner=alice@wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter joins rabbithole@rooms.wonderland.lit as Hatter
alice sends
  <iq type='set' id='a1' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item affiliation='member' jid='hatter@wonderland.lit/tea'/></query></iq>
alice receives
  <iq type='result' id='a1' from='rabbithole@rooms.wonderland.lit'/>
  <presence from='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='member' role='participant' jid='hatter@wonderland.lit/tea'><actor nick='Alice'/></item></x></presence>
hatter receives
  <presence from='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='member' role='participant' jid='hatter@wonderland.lit/tea'><actor nick='Alice'/></item>
    <status code='110'/></x></presence>

alice sends
  <iq type='set' id='a2' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item affiliation='member' jid='march@wonderland.lit'/></query></iq>
alice receives
  <iq type='result' id='a2' from='rabbithole@rooms.wonderland.lit'/>

alice sends
  <iq type='get' id='a3' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item affiliation='member'/></query></iq>
alice receives
  <iq type='result' id='a3' from='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item affiliation='member' jid='hatter@wonderland.lit'/>
    <item affiliation='member' jid='march@wonderland.lit'/></query></iq>

hatter sends
  <iq type='get' id='a4' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item affiliation='member'/></query></iq>
hatter receives
  <iq type='error' id='a4' from='rabbithole@rooms.wonderland.lit'><error type='auth'>
    <forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>

alice sends
  <iq type='set' id='a5' to='rabbithole@rooms.wonderland.lit'><query xmlns='http://jabber.org/protocol/muc#admin'>
    <item affiliation='none' jid='hatter@wonderland.lit'/></query></iq>
alice receives
  <iq type='result' id='a5' from='rabbithole@rooms.wonderland.lit'/>
  <presence from='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='hatter@wonderland.lit/tea'><actor nick='Alice'/></item></x></presence>
hatter receives
  <presence from='rabbithole@rooms.wonderland.lit/Hatter'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='hatter@wonderland.lit/tea'><actor nick='Alice'/></item>
    <status code='110'/></x></presence>
