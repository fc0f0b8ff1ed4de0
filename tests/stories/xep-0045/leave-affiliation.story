# XEP-0045 7.14: affiliation stays when an occupant leaves; unavailable from outside is ignored
site wonderland rooms.wonderland.lit
room rabbithole@rooms.wonderland.lit owner=alice@wonderland.lit
user alice alice@wonderland.lit/rabbit
user hatter hatter@wonderland.lit/tea

alice joins rabbithole@rooms.wonderland.lit as Alice
hatter joins rabbithole@rooms.wonderland.lit as Hatter
alice sends
  <presence type='unavailable' to='rabbithole@rooms.wonderland.lit/Alice'/>
  <presence type='unavailable' to='rabbithole@rooms.wonderland.lit/Alice'/>
alice receives
  <presence type='unavailable' from='rabbithole@rooms.wonderland.lit/Alice'>
    <x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='owner' role='none' jid='alice@wonderland.lit/rabbit'/><status code='110'/></x></presence>
hatter receives
  <presence type='unavailable' from='rabbithole@rooms.wonderland.lit/Alice'>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='owner' role='none'/></x></presence>
alice receives nothing
