# XEP-0045 7.6: a nick change is an unavailable with 303 and the new nick, then an available from the new one
level core node real
site wonderland rooms.wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter joins rabbithole@rooms.wonderland.lit as Hatter
hatter sends
  <presence to='rabbithole@rooms.wonderland.lit/Hare'/>
hatter receives
  <presence type='unavailable' from='rabbithole@rooms.wonderland.lit/Hatter'>
    <x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' nick='Hare' jid='hatter@wonderland.lit/tea'/><status code='303'/>
    <status code='110'/></x></presence>
  <presence from='rabbithole@rooms.wonderland.lit/Hare'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='hatter@wonderland.lit/tea'/><status code='110'/></x></presence>
alice receives
  <presence type='unavailable' from='rabbithole@rooms.wonderland.lit/Hatter'>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant' nick='Hare'/>
    <status code='303'/></x></presence>
  <presence from='rabbithole@rooms.wonderland.lit/Hare'><x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant'/></x></presence>
